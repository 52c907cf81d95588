"""The gateways compared, one file each.  ``ALL`` is the order of the table."""

from __future__ import annotations

from bench.peers.base import Peer
from bench.peers.direct import Direct
from bench.peers.litellm import LiteLLM
from bench.peers.mlflow import MLflow
from bench.peers.nginx import Nginx
from bench.peers.portkey import Portkey
from bench.peers.roadworthy import Roadworthy
from bench.peers.tensorzero import TensorZero

ALL: tuple[type[Peer], ...] = (Direct, Nginx, Roadworthy, TensorZero, MLflow, Portkey, LiteLLM)
