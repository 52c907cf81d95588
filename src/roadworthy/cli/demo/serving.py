"""``roadworthy up`` as the demo runs it: with the login that only the demo has.

``python -m roadworthy.cli.demo.serving DATA CONFIG LISTEN CONSOLE PERSON…``; the command line has no flag for it.
"""

from __future__ import annotations

import sys

from roadworthy.cli.errors import CliError
from roadworthy.wiring.folders.config_folder import ConfigFolderError
from roadworthy.wiring.folders.data_folder import DataFolderError, DataFolderHeld
from roadworthy.wiring.processes.sockets import CannotListen
from roadworthy.wiring.supervisor import Options, up


def main(arguments: list[str]) -> int:
    data, config, listen, console, *people = arguments
    options = Options(
        data, config, listen=listen, metrics="127.0.0.1:0", console=console, login=tuple(people), demo=True
    )
    try:
        return up(options, say=lambda text: print(text, flush=True))
    except (ConfigFolderError, DataFolderError, DataFolderHeld, CannotListen) as error:
        print(error, flush=True)
        return CliError.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
