"""Artifacts of each kind, uploaded and downloaded with the helpers of the official client."""

import os
import tempfile

import requests
import taskcluster
from harness import acting_as, check, queue, start
from taskcluster import download, upload


def put_s3(run, task_id, name, data):
    """Uploads an s3 artifact to the URL from the queue."""
    kind = {"storageType": "s3", "contentType": "text/plain", "expires": taskcluster.fromNowJSON("1 hour")}
    target = run.createArtifact(task_id, "0", name, kind)
    response = requests.put(target["putUrl"], data=data, headers={"Content-Type": "text/plain"}, timeout=60)
    assert response.status_code == 200, response.text


def put_object(run, task_id, name, data):
    """Uploads an object artifact with the client's helper."""
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
def s3_artifact_is_downloaded():
    task_id, run = start()
    data = os.urandom(1 << 20)
    put_s3(run, task_id, "public/build/bytes", data)
    got, content_type = download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/build/bytes", queueService=queue)
    assert bytes(got) == data and content_type == "text/plain"


@check
def objects_of_both_upload_methods_are_downloaded():
    task_id, run = start()
    # The helper sends up to 8 KiB inline and larger data with a PUT.
    for size in (0, 8192, 8193, 3 << 20):
        data, name = os.urandom(size), f"public/{size}.bin"
        put_object(run, task_id, name, data)
        with tempfile.TemporaryFile() as file:
            content_type = download.downloadArtifactToFile(file, taskId=task_id, name=name, queueService=queue)
            file.seek(0)
            assert file.read() == data and content_type == "application/x-e2e", size


@check
def signed_url_opens_a_private_artifact():
    task_id, run = start()
    put_s3(run, task_id, "private/secret.txt", b"open sesame")
    unsigned = queue.buildUrl("getArtifact", task_id, "0", "private/secret.txt")
    assert requests.get(unsigned, timeout=60).status_code == 403
    signed = queue.buildSignedUrl("getArtifact", task_id, "0", "private/secret.txt")
    assert requests.get(signed, timeout=60).content == b"open sesame"


@check
def link_is_followed():
    task_id, run = start()
    put_s3(run, task_id, "public/real.txt", b"the real one")
    expires = taskcluster.fromNowJSON("1 hour")
    link = {"storageType": "link", "contentType": "text/plain", "artifact": "public/real.txt", "expires": expires}
    run.createArtifact(task_id, "0", "public/alias.txt", link)
    got, _ = download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/alias.txt", queueService=queue)
    assert bytes(got) == b"the real one"


@check
def error_artifact_raises_in_the_download_helper():
    task_id, run = start()
    expires = taskcluster.fromNowJSON("1 hour")
    error = {"storageType": "error", "reason": "file-missing-on-worker", "message": "not built", "expires": expires}
    run.createArtifact(task_id, "0", "public/missing", error)
    try:
        download.downloadArtifactToBuf(taskId=task_id, runId="0", name="public/missing", queueService=queue)
    except taskcluster.exceptions.TaskclusterArtifactError as failure:
        assert failure.reason == "file-missing-on-worker", failure.reason
    else:
        raise AssertionError("an error artifact was downloaded")


@check
def listing_pages_have_every_artifact_once():
    task_id, run = start()
    expires = taskcluster.fromNowJSON("1 hour")
    names = [f"public/{number:02}" for number in range(7)]
    for name in names:
        reference = {"storageType": "reference", "contentType": "text/plain", "url": "https://example.com/", "expires": expires}
        run.createArtifact(task_id, "0", name, reference)
    pages = []
    queue.listArtifacts(task_id, "0", query={"limit": "3"}, paginationHandler=pages.append)
    listed = [artifact["name"] for page in pages for artifact in page["artifacts"]]
    assert len(pages) >= 3, f"{len(pages)} pages, each of at most 3 artifacts"
    assert sorted(listed) == names, listed
