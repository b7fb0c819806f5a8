"""Credentials: what they open and what they do not."""

import taskcluster
from harness import OPTIONS, TASK_QUEUE, WORKER, acting_as, check, create, refused, temporary_credentials


@check
def temporary_credentials_have_their_scopes_and_no_more():
    temporary = temporary_credentials("1 hour", ["queue:cancel-task-in-project:none"])
    refused(403, "InsufficientScopes", acting_as(taskcluster.Queue, temporary).claimWork, TASK_QUEUE, {**WORKER, "tasks": 1})


@check
def expired_credentials_fail_to_authenticate():
    temporary = temporary_credentials("-30 minutes", ["*"])
    task_id = create()
    refused(401, "AuthenticationFailed", acting_as(taskcluster.Queue, temporary).cancelTask, task_id)


@check
def a_wrong_access_token_fails_to_authenticate():
    wrong = {**OPTIONS["credentials"], "accessToken": "wrong"}
    refused(401, "AuthenticationFailed", acting_as(taskcluster.Queue, wrong).cancelTask, create())


@check
def authorized_scopes_narrow_what_a_client_may_do():
    narrow = taskcluster.Queue({**OPTIONS, "authorizedScopes": ["queue:nothing"]})
    refused(403, "InsufficientScopes", narrow.claimWork, TASK_QUEUE, {**WORKER, "tasks": 1})


@check
def current_scopes_are_those_of_the_credentials():
    scopes = ["queue:one", "queue:two:*"]
    auth = acting_as(taskcluster.Auth, temporary_credentials("1 hour", scopes))
    assert set(scopes) <= set(auth.currentScopes()["scopes"])
