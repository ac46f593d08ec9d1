"""Where the work of a pass is done: in processes of its own computer, or on a Dask cluster."""

import re
from ipaddress import ip_address
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

_ADDRESS = re.compile(r"(tcp|tls)://(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):([0-9]{1,5})")


class RunnerSettings(BaseModel):
    """Which workers count, compare and write tables (docs/hosts.md).

    ``address`` is that of a Dask scheduler. Whoever reaches one by ``tcp://`` can run programs as
    its workers, so beyond loopback it is refused unless ``insecure`` says that this is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["processes", "dask"] = "processes"
    address: str | None = None
    insecure: bool = False

    @field_validator("address")
    @classmethod
    def _has_scheme_host_and_port(cls, address: str | None) -> str | None:
        found = None if address is None else _ADDRESS.fullmatch(address)
        if address is not None and (found is None or not 0 < int(found[4]) < 1 << 16):
            raise ValueError("an address such as tls://host:8786 is expected")
        return address

    @model_validator(mode="after")
    def _address_and_kind_agree(self) -> Self:
        if self.kind == "processes":
            if self.address is not None:
                raise ValueError("an address is that of a Dask scheduler: write kind: dask, too")
            return self
        if self.address is None:
            raise ValueError(
                "kind: dask needs the scheduler's address, such as address: tls://host:8786"
            )
        if not self.may_use(self.address):
            raise ValueError(
                "tcp:// is neither encrypted nor asks who calls: whoever reaches such a scheduler "
                "can run programs on its workers. Use tls:// (docs/hosts.md), or set insecure: "
                "true if nobody else can reach that network"
            )
        return self

    def may_use(self, address: str) -> bool:
        """Tell whether workers or a scheduler that listen at an address may be used."""
        return self.insecure or address.startswith("tls://") or _is_loopback(address)


def _is_loopback(address: str) -> bool:
    found = _ADDRESS.fullmatch(address)
    host = (found[2] or found[3]) if found else ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
