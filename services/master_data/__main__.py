"""Master data, put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from isthmus.masterdata.v1 import masterdata_service_pb2
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import add_MasterDataServiceServicer_to_server
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.master_data.restates import RESTATES
from services.master_data.rpc import MasterDataService
from services.master_data.settings import Settings
from services.master_data.store import STORE


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_MasterDataServiceServicer_to_server(MasterDataService(kit), server)
    return [masterdata_service_pb2.DESCRIPTOR.services_by_name["MasterDataService"].full_name]


def main() -> None:
    migrations = Path(__file__).parent / "migrations"
    service = Service(store=STORE, migrations=migrations, servicers=servicers, restates=RESTATES)
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
