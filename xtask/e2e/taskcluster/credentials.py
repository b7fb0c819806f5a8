"""Credentials: scopes, expiry, authentication."""

import taskcluster
from harness import OPTIONS, TASK_QUEUE, WORKER, acting_as, check, create, rejected, temporary_credentials


@check
def temporary_credentials_have_only_their_scopes():
    temporary = temporary_credentials("1 hour", ["queue:cancel-task-in-project:none"])
    rejected(403, "InsufficientScopes", acting_as(taskcluster.Queue, temporary).claimWork, TASK_QUEUE, {**WORKER, "tasks": 1})


@check
def expired_credentials_are_rejected():
    temporary = temporary_credentials("-30 minutes", ["*"])
    task_id = create()
    rejected(401, "AuthenticationFailed", acting_as(taskcluster.Queue, temporary).cancelTask, task_id)


@check
def wrong_access_token_is_rejected():
    wrong = {**OPTIONS["credentials"], "accessToken": "wrong"}
    rejected(401, "AuthenticationFailed", acting_as(taskcluster.Queue, wrong).cancelTask, create())


@check
def authorized_scopes_restrict_a_client():
    narrow = taskcluster.Queue({**OPTIONS, "authorizedScopes": ["queue:nothing"]})
    rejected(403, "InsufficientScopes", narrow.claimWork, TASK_QUEUE, {**WORKER, "tasks": 1})


@check
def current_scopes_are_the_scopes_of_the_credentials():
    scopes = ["queue:one", "queue:two:*"]
    auth = acting_as(taskcluster.Auth, temporary_credentials("1 hour", scopes))
    assert set(scopes) <= set(auth.currentScopes()["scopes"])
