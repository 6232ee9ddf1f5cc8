"""Asks a server through the client that was made of its description, and looks at the types of what comes back."""

import datetime
import importlib
import pkgutil
import sys

import obscura_client.api
from obscura_client import AuthenticatedClient
from obscura_client.api.catalogue import show_dataset
from obscura_client.api.jobs import fetch_release_record, fetch_result, list_jobs, show_job, submit_job
from obscura_client.api.policies import propose_policies
from obscura_client.api.queries import check_query
from obscura_client.api.tokens import show_me
from obscura_client.models import (
    DocumentFile,
    DocumentFiles,
    DocumentsRefused,
    Job,
    JobState,
    Me,
    PersonRole,
    Problem,
    QueryRefused,
    Question,
    Verdict,
    VerdictDecision,
)

COUNT = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY dept"
LISTING = "SELECT person_id, COUNT(*) FROM persons GROUP BY person_id"


def typed(response, status, kind):
    """The body of an answer, which must have this status and be read as this type."""
    assert response.status_code == status, (response.status_code, response.content)
    assert isinstance(response.parsed, kind), (type(response.parsed), response.content)
    return response.parsed


def every_route_is_python():
    """Imports the module of every route."""
    found = pkgutil.walk_packages(obscura_client.api.__path__, "obscura_client.api.")
    routes = [module.name for module in found if not module.ispkg]
    for route in routes:
        importlib.import_module(route)
    assert len(routes) > 40, routes


def main(address, token, steward, purpose):
    every_route_is_python()
    client = AuthenticatedClient(base_url=address, token=token)

    me = typed(show_me.sync_detailed(client=client), 200, Me)
    assert me.roles == [PersonRole.ANALYST], me

    job = typed(
        submit_job.sync_detailed(client=client, body=Question(sql=COUNT, purpose=purpose), prefer="wait=30"),
        201,
        Job,
    )
    assert job.state == JobState.RELEASED, job
    assert isinstance(job.received, datetime.datetime), job
    assert isinstance(job.finished, datetime.datetime) and job.finished >= job.received, job
    assert typed(show_job.sync_detailed(job.id, client=client), 200, Job) == job
    rows = fetch_result.sync_detailed(job.id, client=client).parsed
    assert len(rows) == 5 and rows[0].additional_properties["dept"] == "health", rows
    record = fetch_release_record.sync_detailed(job.id, client=client).parsed
    assert isinstance(record, str) and "obscura-release/" in record, record

    refused = typed(
        submit_job.sync_detailed(client=client, body=Question(sql=LISTING, purpose=purpose)), 422, QueryRefused
    )
    assert refused.code == "query-refused" and refused.status == 422, refused
    assert refused.verdict.decision == VerdictDecision.REFUSED, refused
    finding = refused.verdict.findings[0]
    assert finding.code and finding.message.en and finding.message.zh, finding
    assert finding.docs.endswith(finding.reason), finding
    assert LISTING[finding.span.start : finding.span.end], finding
    assert typed(show_job.sync_detailed(refused.job, client=client), 200, Job).state == JobState.REFUSED

    verdict = typed(
        check_query.sync_detailed(client=client, body=Question(sql=LISTING, purpose=purpose)), 200, Verdict
    )
    assert verdict.findings == refused.verdict.findings, verdict
    listed = list_jobs.sync_detailed(client=client, limit=2).parsed
    assert [one.id for one in listed.jobs] == [refused.job, job.id], listed

    hidden = typed(show_dataset.sync_detailed("corpus.nothing", client=client), 404, Problem)
    assert hidden.code == "dataset-not-found", hidden
    stranger = AuthenticatedClient(base_url=address, token="nobody")
    assert typed(show_me.sync_detailed(client=stranger), 401, Problem).code == "token-not-valid"

    stella = AuthenticatedClient(base_url=address, token=steward)
    files = DocumentFiles(files=[DocumentFile(name="wrong.yaml", text="api_version: obscura/v1\nkind: Nothing\n")])
    refused = typed(propose_policies.sync_detailed(client=stella, body=files), 400, DocumentsRefused)
    assert refused.code == "documents-refused" and refused.errors[0].file == "wrong.yaml", refused
    assert refused.errors[0].code and refused.errors[0].message, refused
    print("answers and refusals are typed")


main(*sys.argv[1:])
