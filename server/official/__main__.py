"""`python -m server.official`: the official ClearML Server, brought up by one command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.official import backup as backups
from server.official import bootstrap as boot
from server.official import composition, configuration, docker, environment
from server.official.errors import EnvironmentIncomplete, OfficialError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
HERE = Path(__file__).parent

EnvFile = Annotated[Path, typer.Option("--env", help="Secrets and addresses, drawn on first use.")]
Conf = Annotated[Path, typer.Option("--conf", help="Where the client's clearml.conf is written.")]


@app.command()
def up(env: EnvFile = HERE / ".env", conf: Conf = HERE / "clearml.conf", host: str = "127.0.0.1") -> None:
    """Draw secrets, start, wait for health, bootstrap, smoke-test. Run twice it changes nothing."""
    composition.check(HERE / "compose.yaml")
    if not env.exists() and (HERE / "config" / "apiserver.conf").exists():
        raise EnvironmentIncomplete(
            f"{env} is missing, but the server was set up before ({HERE / 'config'}): new secrets would lock it out. "
            "Put the file back; to begin anew, move config/ away and remove the volumes"
        )
    docker.require()
    values = environment.ensure(env, host)
    changed = configuration.ensure(HERE / "config", values)
    docker.compose(env, "up", "--detach", "--wait")
    if changed:
        docker.compose(env, "restart", "apiserver")
    _prepare(values, conf)
    docker.compose(env, "up", "--detach", "--wait", profiles=("agent",))
    print(f"web app: {values['CLEARML_WEB_HOST']} (user {values['ADMIN_USER']}, password in {env})")


@app.command()
def prepare(env: EnvFile = HERE / ".env", conf: Conf = HERE / "clearml.conf") -> None:
    """Bootstrap and smoke-test a server that already runs where `.env` says."""
    environment.read(env)  # one that runs has its secrets: none are drawn here
    _prepare(environment.ensure(env), conf)


@app.command()
def down(env: EnvFile = HERE / ".env") -> None:
    """Stop the server; volumes stay."""
    environment.read(env)
    docker.require()
    docker.compose(env, "down", profiles=("agent", "s3", "tls"))


@app.command()
def logs(services: Annotated[list[str] | None, typer.Argument()] = None, env: EnvFile = HERE / ".env") -> None:
    """Print the last hundred lines of every service, or of those named."""
    environment.read(env)
    docker.require()
    asked = ("logs", "--no-color", "--tail", "100", *(services or ()))
    print(docker.compose(env, *asked, profiles=("agent", "s3", "tls")), end="")


@app.command()
def backup(target: Path, env: EnvFile = HERE / ".env") -> None:
    """Archive databases and files into TARGET (the server stops meanwhile)."""
    environment.read(env)
    docker.require()
    print(backups.backup(env, target))


@app.command()
def restore(folder: Path, env: EnvFile = HERE / ".env") -> None:
    """Replace databases and files by a backup."""
    environment.read(env)
    backups.verify(folder)
    docker.require()
    backups.restore(env, folder)


def _prepare(values: dict[str, str], conf: Path) -> None:
    boot.await_health(values["CLEARML_API_HOST"], tell=print)
    done = boot.bootstrap(values, conf)
    for key in done.revoked:
        print(f"gone   key {key}, which an interrupted run made and nobody has")
    for what in done.made:
        print(f"made   {what}")
    for what in done.found:
        print(f"found  {what}")
    smoke(values, done.access_key, done.secret_key)


def smoke(values: dict[str, str], access_key: str, secret_key: str) -> None:
    """Run the smoke test with exactly these addresses and keys.

    Raises
    ------
    OfficialError
        With its output, if it fails.
    """
    hosts = {name: values[name] for name in ("CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST")}
    keys = {"CLEARML_API_ACCESS_KEY": access_key, "CLEARML_API_SECRET_KEY": secret_key}
    done = subprocess.run(
        [sys.executable, "-m", "server.official.smoke"],
        env={**os.environ, **hosts, **keys},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise OfficialError(f"the smoke test failed:\n{done.stdout}\n{done.stderr[-2000:]}")
    print(f"smoke  {done.stdout.strip().splitlines()[-1]}")


def main() -> None:
    """Run the command line; a known error is one text."""
    try:
        app()
    except OfficialError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that is a file, no rights
        print(f"error: {error}. Mend that and run it again: it goes on where it stopped", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
