"""Prefect's own scheduler, on a database of its own: prints how many runs it makes of an interval schedule."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from prefect.server import models, schemas
from prefect.server.database.dependencies import provide_database_interface


async def main() -> None:
    """Make a deployment with a schedule and let it be scheduled."""
    db = provide_database_interface()
    await db.create_db()
    interval = schemas.schedules.IntervalSchedule(interval=timedelta(seconds=60))
    async with db.session_context(begin_transaction=True) as session:
        flow = await models.flows.create_flow(session, schemas.core.Flow(name="x"))
        made = await models.deployments.create_deployment(session, schemas.core.Deployment(name="d", flow_id=flow.id))
        wanted = schemas.actions.DeploymentScheduleCreate(schedule=interval, active=True)
        await models.deployments.create_deployment_schedules(session, made.id, [wanted])
        print(len(await models.deployments.schedule_runs(session, deployment_id=made.id)))


if __name__ == "__main__":
    asyncio.run(main())
