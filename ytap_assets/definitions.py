"""The code location that `workspace.yaml` names."""

from ytap_assets.defs.build import build_definitions

defs = build_definitions()
