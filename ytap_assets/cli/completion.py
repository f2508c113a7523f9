"""``ytap completion``: the script that teaches a shell to complete ``ytap``."""

from __future__ import annotations

import click

from ytap_assets.cli.context import say
from ytap_assets.cli.options import examples

_VARIABLE = "_YTAP_COMPLETE"


@click.command(
    epilog=examples(
        'eval "$(ytap completion bash)"      # in ~/.bashrc',
        'eval "$(ytap completion zsh)"       # in ~/.zshrc',
        "ytap completion fish > ~/.config/fish/completions/ytap.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and workspaces."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not supported")
    say(kind(ctx.find_root().command, {}, "ytap", _VARIABLE).source())


COMMANDS = (completion,)
