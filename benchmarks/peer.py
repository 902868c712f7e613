"""One row of a peer, with the same pictures, teacher and metric code: needs `make peers`.

python benchmarks/peer.py --peer padim --dataset magnetic_tile --data DIR --role dev --seed 0 --json
"""

from __future__ import annotations

import json

from harness.options import case_parser, chosen_case, guard, peers_environment
from harness.peer_rows import run
from harness.results import Results
from peers.table import PEERS

from calibration.errors import CalibrationError
from engines.errors import EngineError


def main() -> None:
    """Run and print."""
    parser = case_parser(__doc__)
    parser.add_argument("--peer", required=True, choices=sorted(PEERS))
    parser.add_argument("--threads", type=int, default=0, help="0: every core")
    arguments = parser.parse_args()
    peers, case = peers_environment(), chosen_case(arguments)
    if peers is None:
        raise SystemExit("the peers' environment is missing; run make peers, or name it in PEERS")
    a = arguments
    try:
        made = run(a.peer, case, a.data, a.seed, Results(), guard(a), peers, a.threads)
    except (EngineError, CalibrationError) as error:
        raise SystemExit(str(error)) from error
    print(json.dumps({"peer": made.name, **made.config["case"], "seed": made.seed, **made.figures, **made.facts}))


if __name__ == "__main__":
    main()
