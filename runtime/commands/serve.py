"""`ds2edge serve`: transcribes for other programs, over the network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click

from ds2edge.runtime.commands.option_group import option_group
from ds2edge.runtime.commands.options import (
    decoding_options,
    endpoint_options,
    model_option,
    threads_option,
)
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.serve.limits import Limits

PACKAGES = ("wyoming", "websockets")
LIMITS = Limits()
PORT = click.IntRange(0, 65535)


@dataclass(frozen=True)
class ServiceOptions:
    """Where to listen, and what to tell clients."""

    host: str
    port: int
    websocket_port: int | None
    language: str
    zeroconf: str | None


service_options = option_group(
    "service",
    ServiceOptions,
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Address to listen at. The default is for programs on this machine only; "
        "0.0.0.0 lets every machine of the network connect.",
    ),
    click.option(
        "--port",
        default=10300,
        show_default=True,
        type=PORT,
        metavar="PORT",
        help="Port of the Wyoming protocol; 0 for any free one.",
    ),
    click.option(
        "--websocket-port",
        type=PORT,
        metavar="PORT",
        help="Also serve vosk-server's websocket protocol at this port; its clients expect 2700.",
    ),
    click.option(
        "--language",
        default="en",
        show_default=True,
        metavar="CODE",
        help="Language of the model, for Home Assistant.",
    ),
    click.option(
        "--zeroconf",
        metavar="NAME",
        help="Announce the Wyoming server in the local network under this name.",
    ),
)
limit_options = option_group(
    "limits",
    Limits,
    click.option(
        "--max-clients",
        default=LIMITS.max_clients,
        show_default=True,
        type=click.IntRange(min=1),
        metavar="N",
        help="Refuse further clients while N are connected.",
    ),
    click.option(
        "--max-seconds",
        default=LIMITS.max_seconds,
        show_default=True,
        type=click.FloatRange(min=1),
        metavar="SECONDS",
        help="Ignore what goes beyond this length in one Wyoming request.",
    ),
    click.option(
        "--max-idle",
        default=LIMITS.max_idle,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Disconnect a client that sends or reads nothing for this long.",
    ),
)


@click.command()
@model_option
@service_options
@limit_options
@endpoint_options
@threads_option
@decoding_options
def serve(
    model: Path,
    service: ServiceOptions,
    limits: Limits,
    rules: EndpointRules,
    threads: int,
    decoder: DecoderFactory,
    phrases: Path | None,
    min_confidence: float | None,
) -> None:
    """Transcribe for other programs.

    Home Assistant connects through the Wyoming protocol, and clients of vosk-server through a
    websocket. All clients share one model. The file of --phrases is read again when it changes.
    Press Ctrl-C to stop.
    """
    try:
        from ds2edge.runtime.serve import server
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise InputError(
            f"ds2edge serve needs {error.name}: pip install '.[serve]' in the checkout of ds2edge"
        ) from None
    from ds2edge.runtime.serve.addresses import Address
    from ds2edge.runtime.serve.announcement import check_announcement
    from ds2edge.runtime.serve.phrases_file import PhrasesFile
    from ds2edge.runtime.serve.sessions import Sessions

    wyoming = Address(service.host, service.port)
    port = service.websocket_port
    websocket = None if port is None else Address(service.host, port)
    if service.zeroconf is not None:
        check_announcement(service.zeroconf, wyoming)
    watched = None
    if phrases is not None and isinstance(decoder, Phrases):
        watched = PhrasesFile(phrases, min_confidence)
    sessions = Sessions(Recognizer(model, threads=threads, decoder=decoder), rules)
    served = server.Service(wyoming, websocket, service.language, service.zeroconf, watched)
    asyncio.run(server.serve(sessions, served, limits))
