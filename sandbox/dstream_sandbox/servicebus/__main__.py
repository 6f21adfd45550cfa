"""`python -m dstream_sandbox.servicebus`: one namespace in its own process, and Azure for the Pulumi engine.

Prints one JSON line when it accepts connections. Exits on SIGTERM or SIGINT, or when its parent exits.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

from dstream_sandbox.azure.built_in import BUILT_IN, built_in_keys
from dstream_sandbox.azure.data_roles import data_roles
from dstream_sandbox.azure.records import Records, entity_keys
from dstream_sandbox.control_access import TOKEN_FILE, ensure_token
from dstream_sandbox.servicebus.access import KeyRing, SharedKey
from dstream_sandbox.servicebus.admin import AdminListener, AdminRoutes, Control
from dstream_sandbox.servicebus.broker import StoreUnavailable, open_broker
from dstream_sandbox.servicebus.entity_policies import entity_policies
from dstream_sandbox.servicebus.entra import Identities
from dstream_sandbox.servicebus.server import HOST, ServiceBusServer, server_tls

_PR_SET_PDEATHSIG = 1


def main() -> int:
    options = _options()
    if sys.platform == "linux" and not _end_with_parent():
        return 1
    os.umask(0o077)
    try:
        asyncio.run(_serve(options))
    except (OSError, StoreUnavailable) as exc:
        sys.stderr.write(f"the sandbox's Service Bus cannot start: {exc}\n")
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = options.key_file.read_text().strip()
    token = ensure_token(options.control_token_file or options.data / TOKEN_FILE)
    tls = server_tls(options.cert, options.key) if options.cert else None
    broker = open_broker(options.data, profile=options.profile, clock=time.time)
    records = Records(options.data)
    policies = built_in_keys(records, SharedKey(options.key_name, (key,)))
    of_entities = entity_keys(records, BUILT_IN, entity_policies(broker))
    identities = Identities(key, data_roles(records, BUILT_IN))
    server = ServiceBusServer(broker, KeyRing(policies, of_entities, identities.check), sink=options.sink)
    azure = None
    try:
        ready: dict[str, object] = {"ready": True, "pid": os.getpid()}
        ready["amqp_port"] = await server.listen(options.amqp_port)
        ready["amqps_port"] = await server.listen(options.amqps_port, tls) if tls else None
        routes = AdminRoutes(BUILT_IN, broker, KeyRing(policies), Control(server.control, token))
        admin = AdminListener.bind(HOST, options.admin_port, tls, routes.answer)
        server.adopt(admin)
        ready["admin_port"] = admin.sockets[0].getsockname()[1]
        if options.azure_port is not None:
            from dstream_sandbox.azure.rest import PREFIX
            from dstream_sandbox.azure.serving import open_azure  # imports grpc and Pulumi's messages

            azure = await open_azure(options.azure_port, records, server, broker, options.data, ready, tls, key, token)
            ready["azure_port"] = azure.port
            routes.others[PREFIX] = azure.rest.answer
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        # A broker's objects are long-lived and have no cycles: collecting at the default rate costs a third of its
        # speed.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await stop.wait()
    finally:
        if azure is not None:
            await azure.close()
        await server.close()
        await broker.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dstream_sandbox.servicebus")
    parser.add_argument("--data", type=Path, required=True, help="folder for the namespace's data")
    parser.add_argument("--amqp-port", type=int, default=0, help="0: a free port (also for the other ports)")
    parser.add_argument("--amqps-port", type=int, default=0)
    parser.add_argument("--admin-port", type=int, default=0)
    parser.add_argument("--azure-port", type=int, help="port of Pulumi's azure-native; default: not served")
    parser.add_argument("--cert", help="certificate chain in PEM; without it, TLS is disabled")
    parser.add_argument("--key", help="private key of the certificate in PEM")
    parser.add_argument("--key-name", default="RootManageSharedAccessKey", help="name of the shared access policy")
    parser.add_argument("--key-file", type=Path, required=True, help="file with the policy's key")
    parser.add_argument("--control-token-file", type=Path, help="created if missing; default: in the data folder")
    parser.add_argument("--profile", choices=("standard", "premium"), default="standard")
    parser.add_argument("--sink", action="store_true", help="accept and count messages without storing them")
    options = parser.parse_args()
    if bool(options.cert) != bool(options.key):
        parser.error("--cert and --key must be used together")
    return options


def _end_with_parent() -> bool:
    """Return False if the parent has already exited (prctl(2): only a later exit sends the signal)."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


if __name__ == "__main__":
    sys.exit(main())
