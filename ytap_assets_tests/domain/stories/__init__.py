"""The rules of stories."""
