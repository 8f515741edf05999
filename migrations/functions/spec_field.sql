-- The fields a job document may have, each in both spellings of proto3-JSON. Generated from the
-- contract: POSTQ_BLESS=1 cargo test -p postq-proto --test spec_field
--
-- kind: string, int32, bool, enum, duration, struct, value or message.
-- shape: one, list or map (whose keys are text). target: of which message or enum.
create or replace view postq.spec_field as
select f.message, f.field, f.spelling, f.kind, f.shape, f.target, f.is_nullable, f.words
from (values
    ('JobSpec', 'name', 'name', 'string', 'one', null, false, '{}'::text[]),
    ('JobSpec', 'queue', 'queue', 'string', 'one', null, false, '{}'::text[]),
    ('JobSpec', 'attributes', 'attributes', 'struct', 'one', null, true, '{}'::text[]),
    ('JobSpec', 'env', 'env', 'string', 'map', null, false, '{}'::text[]),
    ('JobSpec', 'tasks', 'tasks', 'message', 'map', 'TaskSpec', false, '{}'::text[]),
    ('JobSpec', 'priority', 'priority', 'int32', 'one', null, false, '{}'::text[]),
    ('JobSpec', 'input', 'input', 'string', 'one', null, false, '{}'::text[]),
    ('JobSpec', 'on_conflict', 'onConflict', 'enum', 'one', 'JobSpec.OnConflict', false, '{FAIL,PREFER_LAST_DEPENDENCY}'::text[]),
    ('JobSpec', 'on_conflict', 'on_conflict', 'enum', 'one', 'JobSpec.OnConflict', false, '{FAIL,PREFER_LAST_DEPENDENCY}'::text[]),
    ('TaskSpec', 'depends', 'depends', 'string', 'list', null, false, '{}'::text[]),
    ('TaskSpec', 'command', 'command', 'string', 'one', null, false, '{}'::text[]),
    ('TaskSpec', 'image', 'image', 'string', 'one', null, true, '{}'::text[]),
    ('TaskSpec', 'handler', 'handler', 'string', 'one', null, true, '{}'::text[]),
    ('TaskSpec', 'arguments', 'arguments', 'value', 'one', null, true, '{}'::text[]),
    ('TaskSpec', 'env', 'env', 'string', 'map', null, false, '{}'::text[]),
    ('TaskSpec', 'timeout', 'timeout', 'duration', 'one', null, true, '{}'::text[]),
    ('TaskSpec', 'grace', 'grace', 'duration', 'one', null, true, '{}'::text[]),
    ('TaskSpec', 'retry', 'retry', 'message', 'one', 'RetryPolicy', true, '{}'::text[]),
    ('TaskSpec', 'run_if', 'runIf', 'enum', 'one', 'TaskSpec.RunIf', false, '{SUCCEEDED,FAILED,FINISHED}'::text[]),
    ('TaskSpec', 'run_if', 'run_if', 'enum', 'one', 'TaskSpec.RunIf', false, '{SUCCEEDED,FAILED,FINISHED}'::text[]),
    ('TaskSpec', 'workspace', 'workspace', 'enum', 'one', 'TaskSpec.Workspace', false, '{DEFAULT,FILES,NONE}'::text[]),
    ('RetryPolicy', 'max_attempts', 'maxAttempts', 'int32', 'one', null, false, '{}'::text[]),
    ('RetryPolicy', 'max_attempts', 'max_attempts', 'int32', 'one', null, false, '{}'::text[]),
    ('RetryPolicy', 'backoff', 'backoff', 'duration', 'one', null, true, '{}'::text[]),
    ('RetryPolicy', 'max_backoff', 'maxBackoff', 'duration', 'one', null, true, '{}'::text[]),
    ('RetryPolicy', 'max_backoff', 'max_backoff', 'duration', 'one', null, true, '{}'::text[])
) as f (message, field, spelling, kind, shape, target, is_nullable, words);
revoke all on postq.spec_field from public;
