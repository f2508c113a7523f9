"""Which stages a selection of assets needs, and in which order they run.

A stage is one step (`table_assets.build_stage`), so a selection is cut into one run for each of its
stages. Assets without partitions are no part of this.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from ytap_assets.config_keys import find_nearest
from ytap_assets.defs.assets import TABLE_ASSETS
from ytap_assets.defs.table_assets import Stage, order_assets
from ytap_assets.errors import ConfigError

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Planned:
    """The selected assets of one stage.

    Attributes:
        stage: The stage.
        assets: Each asset, with its upstream assets in the selection.
    """

    stage: Stage
    assets: Mapping[str, frozenset[str]]

    def without_downstream_of(self, failed: Collection[str]) -> list[str]:
        """The assets that need nothing that failed."""
        if self.stage.is_apart:
            return list(self.assets)
        return [name for name, above in self.assets.items() if not above & set(failed)]


def _explain_unknown(selection: str, makeable: Collection[dg.AssetKey]) -> str:
    """Why a selection selects nothing, and what there is."""
    known = sorted(key.to_user_string() for key in makeable)
    unknown = [word for word in _WORD.findall(selection) if word not in known]
    nearest = next((found for word in unknown if (found := find_nearest(word, known))), None)
    advice = f"; did you mean `{nearest}`?" if nearest else ""
    there_are = f"there are {', '.join(known)}"
    return f"selection {selection!r} selects no asset that can be made{advice}; {there_are}"


def plan_stages(definitions: dg.Definitions, selection: str) -> list[Planned]:
    """Cut a selection into stages, in the order of the graph; those that are apart come last.

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
    names = {key.to_user_string() for key in chosen}
    above = {
        name: (asset, above & names)
        for name, (asset, above) in order_assets(TABLE_ASSETS).items()
        if name in names
    }
    stage_of = {name: asset.stage for name, (asset, _) in above.items()}
    planned = [
        Planned(
            stage,
            {name: upper for name, (asset, upper) in above.items() if asset.stage == stage},
        )
        for stage in dict.fromkeys(stage_of.values())
    ]
    return _order(planned, stage_of)


def _order(planned: Sequence[Planned], stage_of: Mapping[str, Stage]) -> list[Planned]:
    """Each stage after those whose assets it needs; those that are apart last.

    Raises:
        ValueError: Stages need each other.
    """
    waiting = sorted(planned, key=lambda one: one.stage.is_apart)
    ordered: list[Planned] = []
    while waiting:
        done = {one.stage for one in ordered}
        ready = next(
            (
                one
                for one in waiting
                if {stage_of[name] for upper in one.assets.values() for name in upper}
                <= {*done, one.stage}
            ),
            None,
        )
        if ready is None:
            names = ", ".join(one.stage.name for one in waiting)
            raise ValueError(f"these stages need each other: {names}")
        waiting.remove(ready)
        ordered.append(ready)
    return ordered
