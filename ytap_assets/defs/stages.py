"""Cut a selection of assets into stages that Dagster can run.

A selection may mix partition grains; a run has one. So assets of one grain that need nothing
of another grain in between share a stage. Reports are a stage of their own, at the end: they are
made whatever failed before. Assets without partitions are no part of this.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Self

import dagster as dg

from ytap_assets.config_keys import find_nearest
from ytap_assets.errors import ConfigError

_APART = "reports"
_WORD = re.compile(r"\w+")
_BY_DAY = dg.MultiPartitionsDefinition


@dataclass(frozen=True)
class Stage:
    """Assets that one run can make together.

    Attributes:
        assets: Each asset, with what it is downstream of in the selection.
        by_day: Whether their partitions are days of a workspace, or whole workspaces.
        is_apart: Whether they are made whatever failed.
    """

    assets: Mapping[str, frozenset[str]]
    by_day: bool
    is_apart: bool

    def without_downstream_of(self, failed: Collection[str]) -> Self:
        """The stage without what needs something that failed."""
        if self.is_apart:
            return self
        fine = {name: above for name, above in self.assets.items() if not above & set(failed)}
        return replace(self, assets=fine)


def _explain_unknown(selection: str, makeable: Collection[dg.AssetKey]) -> str:
    """Why a selection selects nothing, and what there is."""
    known = sorted(key.to_user_string() for key in makeable)
    unknown = [word for word in _WORD.findall(selection) if word not in known]
    nearest = next((found for word in unknown if (found := find_nearest(word, known))), None)
    advice = f"; did you mean `{nearest}`?" if nearest else ""
    there_are = f"there are {', '.join(known)}"
    return f"selection {selection!r} selects no asset that can be made{advice}; {there_are}"


def plan_stages(definitions: dg.Definitions, selection: str) -> list[Stage]:
    """Cut a selection into stages of one grain each, in the order of the graph.

    Raises:
        ConfigError: The selection is no selection, or selects nothing that can be made.
    """
    graph = definitions.resolve_asset_graph()
    makeable = {k for k in graph.materializable_asset_keys if graph.get(k).is_partitioned}
    try:
        chosen = dg.AssetSelection.from_string(selection).resolve(graph) & makeable
    except dg.DagsterInvalidSubsetError as error:
        raise ConfigError(_explain_unknown(selection, makeable)) from error
    except dg.DagsterError as error:
        raise ConfigError(
            f"selection {selection!r} cannot be read: several are joined as in"
            " 'key:scored_trends or key:video_metrics', and + takes in what one is made from, as in"
            " '+workspace_reports'"
        ) from error
    if not chosen:
        raise ConfigError(_explain_unknown(selection, makeable))
    above = {
        key: graph.get_ancestor_asset_keys(key) & chosen
        for key in graph.toposorted_asset_keys
        if key in chosen
    }
    kinds: dict[dg.AssetKey, tuple[bool, bool]] = {}
    depth: dict[dg.AssetKey, int] = {}
    for key, ancestors in above.items():
        node = graph.get(key)
        kinds[key] = (node.group_name == _APART, isinstance(node.partitions_def, _BY_DAY))
        depth[key] = max((depth[a] + (kinds[a] != kinds[key]) for a in ancestors), default=0)
    places = sorted({(kinds[key][0], depth[key], kinds[key][1]) for key in depth})
    return [
        Stage(
            assets={
                key.to_user_string(): frozenset(a.to_user_string() for a in above[key])
                for key in depth
                if (depth[key], kinds[key]) == (at, (apart, by_day))
            },
            by_day=by_day,
            is_apart=apart,
        )
        for apart, at, by_day in places
    ]
