"""Spam: settings of the rules, the learned model, its training, and detection."""
