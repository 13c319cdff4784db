"""Ray's fake multi-node provider as a cloud with spot instances: one whose raylet was killed is no longer listed."""

from __future__ import annotations

from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class PreemptingProvider(FakeMultiNodeProvider):
    """Forgets nodes whose processes have died, as EC2 lists a preempted instance as terminated."""

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        with self.lock:
            lost = [
                node_id for node_id, kept in self._nodes.items() if "node" in kept and kept["node"].dead_processes()
            ]
            for node_id in lost:
                del self._nodes[node_id]
        found: list[Any] = super().non_terminated_nodes(tag_filters)
        return [str(node_id) for node_id in found]
