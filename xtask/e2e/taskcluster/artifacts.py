"""Artifacts of each kind, uploaded and downloaded by the helpers of the official client."""

import os
import tempfile

import requests
import taskcluster
from harness import acting_as, check, queue, start
from taskcluster import download, upload


def put_s3(run, task_id, name, data):
    """Uploads as an s3 artifact with the URL that the queue gives."""
    kind = {"storageType": "s3", "contentType": "text/plain", "expires": taskcluster.fromNowJSON("1 hour")}
    target = run.createArtifact(task_id, "0", name, kind)
    answer = requests.put(target["putUrl"], data=data, headers={"Content-Type": "text/plain"}, timeout=60)
    assert answer.status_code == 200, answer.text


def put_object(run, task_id, name, data):
    """Uploads as an object artifact, as the client's own helper does it."""
    kind = {"storageType": "object", "contentType": "application/x-e2e", "expires": taskcluster.fromNowJSON("1 hour")}
    target = run.createArtifact(task_id, "0", name, kind)
    upload.uploadFromBuf(
        data=data,
        projectId=target["projectId"],
        name=target["name"],
        uploadId=target["uploadId"],
        expires=target["expires"],
        contentType="application/x-e2e",
        contentLength=len(data),
        objectService=acting_as(taskcluster.Object, target["credentials"]),
    )
    run.finishArtifact(task_id, "0", name, {"uploadId": target["uploadId"]})


@check
def an_s3_artifact_comes_back_through_the_download_helper():
    task_id, run = start()
    data = os.urandom(1 << 20)
    put_s3(run, task_id, "public/build/bytes", data)
    got, content_type = download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/build/bytes", queueService=queue)
    assert bytes(got) == data and content_type == "text/plain"


@check
def objects_of_either_upload_method_come_back_and_are_verified():
    task_id, run = start()
    # The helper sends up to 8 KiB inline and more through a PUT.
    for size in (0, 8192, 8193, 3 << 20):
        data, name = os.urandom(size), f"public/{size}.bin"
        put_object(run, task_id, name, data)
        with tempfile.TemporaryFile() as file:
            content_type = download.downloadArtifactToFile(file, taskId=task_id, name=name, queueService=queue)
            file.seek(0)
            assert file.read() == data and content_type == "application/x-e2e", size


@check
def a_url_signed_by_the_client_opens_a_private_artifact():
    task_id, run = start()
    put_s3(run, task_id, "private/secret.txt", b"open sesame")
    unsigned = queue.buildUrl("getArtifact", task_id, "0", "private/secret.txt")
    assert requests.get(unsigned, timeout=60).status_code == 403
    signed = queue.buildSignedUrl("getArtifact", task_id, "0", "private/secret.txt")
    assert requests.get(signed, timeout=60).content == b"open sesame"


@check
def a_link_leads_to_another_artifact():
    task_id, run = start()
    put_s3(run, task_id, "public/real.txt", b"the real one")
    expires = taskcluster.fromNowJSON("1 hour")
    link = {"storageType": "link", "contentType": "text/plain", "artifact": "public/real.txt", "expires": expires}
    run.createArtifact(task_id, "0", "public/alias.txt", link)
    got, _ = download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/alias.txt", queueService=queue)
    assert bytes(got) == b"the real one"


@check
def an_error_artifact_raises_in_the_download_helper():
    task_id, run = start()
    expires = taskcluster.fromNowJSON("1 hour")
    error = {"storageType": "error", "reason": "file-missing-on-worker", "message": "not built", "expires": expires}
    run.createArtifact(task_id, "0", "public/missing", error)
    try:
        download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/missing", queueService=queue)
    except taskcluster.exceptions.TaskclusterArtifactError as failure:
        assert failure.reason == "file-missing-on-worker", failure.reason
    else:
        raise AssertionError("an error artifact has no content")


@check
def every_page_of_a_listing_arrives_once():
    task_id, run = start()
    expires = taskcluster.fromNowJSON("1 hour")
    names = [f"public/{number:02}" for number in range(7)]
    for name in names:
        reference = {"storageType": "reference", "contentType": "text/plain", "url": "https://example.com/", "expires": expires}
        run.createArtifact(task_id, "0", name, reference)
    pages = []
    queue.listArtifacts(task_id, "0", query={"limit": "3"}, paginationHandler=pages.append)
    listed = [artifact["name"] for page in pages for artifact in page["artifacts"]]
    assert len(pages) >= 3, f"{len(pages)} pages of at most 3"
    assert sorted(listed) == names, listed
