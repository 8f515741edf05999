-- The fields a job document may have, each in both spellings of proto3-JSON. Generated from the
-- contract: POSTQ_BLESS=1 cargo test -p postq-proto --test spec_field
--
-- kind: string, int32, bool, enum, duration, struct, value or message.
-- shape: one, list or map (whose keys are text). target: of which message or enum.
create or replace view postq.spec_field as
select f.position, f.message, f.field, f.spelling, f.kind, f.shape, f.target, f.is_nullable, f.words
from (values
    (1, 'JobSpec', 'name', 'name', 'string', 'one', null, false, '{}'::text[]),
    (2, 'JobSpec', 'queue', 'queue', 'string', 'one', null, false, '{}'::text[]),
    (3, 'JobSpec', 'attributes', 'attributes', 'struct', 'one', null, true, '{}'::text[]),
    (4, 'JobSpec', 'env', 'env', 'string', 'map', null, false, '{}'::text[]),
    (5, 'JobSpec', 'tasks', 'tasks', 'message', 'map', 'TaskSpec', false, '{}'::text[]),
    (6, 'JobSpec', 'priority', 'priority', 'int32', 'one', null, false, '{}'::text[]),
    (7, 'JobSpec', 'input', 'input', 'string', 'one', null, false, '{}'::text[]),
    (8, 'JobSpec', 'on_conflict', 'on_conflict', 'enum', 'one', 'JobSpec.OnConflict', false, '{FAIL,PREFER_LAST_DEPENDENCY}'::text[]),
    (9, 'JobSpec', 'on_conflict', 'onConflict', 'enum', 'one', 'JobSpec.OnConflict', false, '{FAIL,PREFER_LAST_DEPENDENCY}'::text[]),
    (10, 'TaskSpec', 'depends', 'depends', 'string', 'list', null, false, '{}'::text[]),
    (11, 'TaskSpec', 'command', 'command', 'string', 'one', null, false, '{}'::text[]),
    (12, 'TaskSpec', 'image', 'image', 'string', 'one', null, true, '{}'::text[]),
    (13, 'TaskSpec', 'handler', 'handler', 'string', 'one', null, true, '{}'::text[]),
    (14, 'TaskSpec', 'arguments', 'arguments', 'value', 'one', null, true, '{}'::text[]),
    (15, 'TaskSpec', 'env', 'env', 'string', 'map', null, false, '{}'::text[]),
    (16, 'TaskSpec', 'timeout', 'timeout', 'duration', 'one', null, true, '{}'::text[]),
    (17, 'TaskSpec', 'grace', 'grace', 'duration', 'one', null, true, '{}'::text[]),
    (18, 'TaskSpec', 'retry', 'retry', 'message', 'one', 'RetryPolicy', true, '{}'::text[]),
    (19, 'TaskSpec', 'run_if', 'run_if', 'enum', 'one', 'TaskSpec.RunIf', false, '{SUCCEEDED,FAILED,FINISHED}'::text[]),
    (20, 'TaskSpec', 'run_if', 'runIf', 'enum', 'one', 'TaskSpec.RunIf', false, '{SUCCEEDED,FAILED,FINISHED}'::text[]),
    (21, 'TaskSpec', 'workspace', 'workspace', 'enum', 'one', 'TaskSpec.Workspace', false, '{DEFAULT,FILES,NONE}'::text[]),
    (22, 'RetryPolicy', 'max_attempts', 'max_attempts', 'int32', 'one', null, false, '{}'::text[]),
    (23, 'RetryPolicy', 'max_attempts', 'maxAttempts', 'int32', 'one', null, false, '{}'::text[]),
    (24, 'RetryPolicy', 'backoff', 'backoff', 'duration', 'one', null, true, '{}'::text[]),
    (25, 'RetryPolicy', 'max_backoff', 'max_backoff', 'duration', 'one', null, true, '{}'::text[]),
    (26, 'RetryPolicy', 'max_backoff', 'maxBackoff', 'duration', 'one', null, true, '{}'::text[])
) as f (position, message, field, spelling, kind, shape, target, is_nullable, words);
revoke all on postq.spec_field from public;
