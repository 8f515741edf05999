-- Makes the roles that applications are given: members of them use PostQ without seeing a table.
-- They belong to the whole server, so a second database finds them. Called by `postq migrate --roles`.
create or replace function postq.create_roles() returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_role text;
begin
    foreach v_role in array array['postq_submitter', 'postq_consumer', 'postq_reader', 'postq_admin'] loop
        if not exists (select from pg_roles r where r.rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
            exception when duplicate_object or unique_violation then
                -- Another database of this server has made it just now.
                null;
            end;
        end if;
    end loop;
    perform postq.grant_roles();
end;
$$;
revoke all on function postq.create_roles() from public;
