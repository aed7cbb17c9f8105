"""The official server's set-up, as far as it goes without Docker: files checked as what they are."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import yaml
from pyhocon import ConfigFactory

from server.official import backup, composition, configuration, environment
from server.official.errors import ComposeInvalid, EnvironmentIncomplete, OfficialError

HERE = Path(__file__).resolve().parents[2] / "server" / "official"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((HERE / "compose.yaml").read_text())


def test_every_image_is_pinned(compose):
    """No service floats: each image, as `.env` fills it in, has a version with a number in it; ours are built on one."""
    drawn = environment.defaults()
    for name, service in compose["services"].items():
        image = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: drawn[found.group(1)], service["image"])
        assert re.search(r":[\w.-]*\d+(\.\d+|-\d+)", image), (name, image)
    bases = re.findall(r"^FROM (\S+)", (HERE / "agent" / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)


def test_no_service_is_given_the_docker_socket(compose):
    """Whoever may enqueue a task must not own the machine: nothing mounts a path of the host but our own files."""
    mounts = [volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])]
    assert {mount for mount in mounts if mount not in compose["volumes"]} == {"./config", "./Caddyfile"}
    assert not [name for name, service in compose["services"].items() if service.get("privileged")]


def test_every_service_has_limits_restarts_and_a_health_check(compose):
    """A service cannot eat the machine, comes back after a crash, and can be waited for."""
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert service["restart"] == "unless-stopped", name
        assert service["deploy"]["resources"]["limits"].keys() == {"memory", "cpus"}, name


def test_nothing_but_the_proxy_listens_beyond_loopback(compose):
    """Ports are published on BIND, which is loopback by default; only the TLS proxy, off by default, is not."""
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            if name == "proxy":
                assert service["profiles"] == ["tls"]
            else:
                assert port.startswith("${BIND:-127.0.0.1}:"), (name, port)


def test_stores_publish_no_port_and_keep_their_data(compose):
    """Databases are reached by the servers only, and live in named volumes."""
    for name in ("mongo", "elasticsearch", "redis"):
        service = compose["services"][name]
        assert "ports" not in service
        assert service["networks"] == ["stores"]
        assert all(v.split(":")[0] in compose["volumes"] for v in service["volumes"])
        assert service["healthcheck"]["test"]


def test_every_variable_of_the_compose_file_is_drawn(compose):
    """The compose file asks for no variable that `.env` lacks."""
    asked = set(re.findall(r"\$\{(\w+):\?", (HERE / "compose.yaml").read_text()))
    assert asked - environment.defaults().keys() == set()


def test_secrets_are_drawn_once_and_private(tmp_path):
    """The second run reads what the first drew; nobody else may read it."""
    path = tmp_path / ".env"
    first = environment.ensure(path)
    assert environment.ensure(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({v for k, v in first.items() if "SECRET" in k or "PASSWORD" in k}) == 9


def test_a_half_written_env_is_refused_by_name(tmp_path):
    """A lost line is named; nothing is drawn in its place."""
    path = tmp_path / ".env"
    environment.ensure(path)
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("TOKEN_SECRET"))
    path.write_text(text)
    with pytest.raises(EnvironmentIncomplete, match="TOKEN_SECRET"):
        environment.ensure(path)
    assert path.read_text() == text


def test_a_broken_line_is_named(tmp_path):
    """Line number and what was expected."""
    path = tmp_path / ".env"
    path.write_text("A=1\nnonsense\n")
    with pytest.raises(EnvironmentIncomplete, match=r"\.env:2: expected NAME=value"):
        environment.read(path)


def test_apiserver_conf_is_hocon_with_a_bcrypt_user():
    """The file parses as HOCON, and the stored hash is bcrypt of the password, in base64."""
    conf = ConfigFactory.parse_string(configuration.apiserver_conf({"admin": configuration.hashed("secret")}))
    assert conf["auth.fixed_users.enabled"] is True
    assert conf["auth.fixed_users.pass_hashed"] is True
    user = conf["auth.fixed_users.users"][0]
    assert user["username"] == "admin"
    assert bcrypt.checkpw(b"secret", base64.b64decode(user["password"]))


def test_client_and_services_conf_are_hocon():
    """`clearml.conf` and `services.conf` parse and carry the keys."""
    values = environment.defaults()
    client = ConfigFactory.parse_string(configuration.clearml_conf(values, "A", "S"))
    assert client["api.credentials.access_key"] == "A"
    assert client["api.api_server"] == values["CLEARML_API_HOST"]
    services = ConfigFactory.parse_string(configuration.services_conf(values))
    assert services["storage_credentials.aws.s3.credentials"][0]["key"] == values["MINIO_KEY"]


def test_configuration_is_written_once_and_again_after_a_new_password(tmp_path):
    """Run twice it changes nothing; a changed password is taken over."""
    values = environment.defaults()
    assert configuration.ensure(tmp_path, values) is True
    before = (tmp_path / "apiserver.conf").read_text()
    assert configuration.ensure(tmp_path, values) is False
    assert (tmp_path / "apiserver.conf").read_text() == before
    assert configuration.ensure(tmp_path, {**values, "ADMIN_PASSWORD": "another"}) is True


def test_configuration_that_was_cut_short_is_written_anew_and_private(tmp_path):
    """A half-finished run left half a file: the next one writes it whole; nobody else reads hashes and keys."""
    values = environment.defaults()
    configuration.ensure(tmp_path, values)
    conf = tmp_path / "apiserver.conf"
    whole = conf.read_text()
    for cut in (0, whole.index("password") + 12, whole.index("password") + 30):
        conf.write_text(whole[:cut])
        assert configuration.ensure(tmp_path, values) is True
        assert configuration.ensure(tmp_path, values) is False
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_floating_version_is_refused(tmp_path):
    """`latest` would be another server at the next start: it is named before anything runs."""
    path = tmp_path / ".env"
    environment.write(path, environment.defaults() | {"CLEARML_SERVER_VERSION": "latest"})
    with pytest.raises(EnvironmentIncomplete, match="CLEARML_SERVER_VERSION must be a version"):
        environment.ensure(path)


def test_a_damaged_backup_is_refused_untouched(tmp_path):
    """A backup without a manifest, or with a changed archive, names what is wrong before anything is stopped."""
    with pytest.raises(OfficialError, match="manifest"):
        backup.verify(tmp_path)
    for volume in backup.VOLUMES:
        (tmp_path / f"{volume}.tar.gz").write_bytes(b"x")
    import hashlib
    import json

    good = hashlib.sha256(b"x").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({f"{v}.tar.gz": good for v in backup.VOLUMES}))
    backup.verify(tmp_path)
    (tmp_path / "mongo.tar.gz").write_bytes(b"y")
    with pytest.raises(OfficialError, match=r"mongo\.tar\.gz missing or damaged"):
        backup.verify(tmp_path)


WRONG_EDITS = [
    ("services:\n", "services:\n  - [", r"compose\.yaml:\d+: "),
    ("image: mongo:7.0.22", "image: mongo", "mongo: image 'mongo' has no version"),
    ("image: mongo:7.0.22", "imagee: mongo:7.0.22", "mongo: unknown key 'imagee'"),
    ("  mongo:\n", "  mongodb:\n", "service 'mongo' is missing"),
    ("volumes: [mongo:/data/db,", "volumes: [mongoo:/data/db,", "volume 'mongoo' is not declared: its data"),
    ("networks: [stores]", "networks: [store]", "network 'store' is not declared"),
    ("${BIND:-127.0.0.1}:", "0.0.0.0:", "would be open beyond loopback"),
    ("depends_on: [webserver]", "depends_on: [web]", "proxy: depends on 'web', which is no service"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG_EDITS, ids=[new.strip() for _, new, _ in WRONG_EDITS])
def test_a_compose_file_edited_wrongly_is_named(tmp_path, old, new, said):
    """Line, or service and key, and the next step; the shipped files pass."""
    text = (HERE / "compose.yaml").read_text()
    assert old in text
    path = tmp_path / "compose.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ComposeInvalid, match=said) as caught:
        composition.check(path)
    assert "mend the file" in str(caught.value)
    assert composition.check(HERE / "compose.yaml")["name"] == "moodflow-clearml"


@pytest.mark.parametrize("command", [["prepare"], ["down"], ["backup", "OUT"], ["restore", "OUT"]], ids=lambda c: c[0])
def test_commands_on_a_server_that_exists_draw_no_secrets(tmp_path, command):
    """A missing `.env` is an error with the next step; no file is written, nothing is stopped."""
    done = subprocess.run(
        [sys.executable, "-m", "server.official", *command, "--env", str(tmp_path / ".env")],
        capture_output=True, text=True, cwd=HERE.parents[1], check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{tmp_path / '.env'} is missing: `python -m server.official up` writes it" in done.stderr
    assert not list(tmp_path.iterdir())
