"""The code location of `workspace.yaml`."""

from ytap_assets.defs.build import build_definitions

defs = build_definitions()
