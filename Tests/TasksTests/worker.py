# SPDX-License-Identifier: Apache-2.0
"""A worker that is neither Swift nor sandboxd: all it has is SQL.

It is run by PythonWorkerTests with a connection string, in a database that has the queue and is its
own, and fails an assertion when something is not as docs say.
"""

import json
import sys

import psycopg

SPEC = {"argv": ["send", "mail"]}


def enqueue(connection, number):
    """A task for this kind of worker, in whatever transaction the caller is in."""
    row = connection.execute(
        "SELECT sandboxd.enqueue('code', %s::jsonb, p_key => %s, p_pool => 'host')",
        (json.dumps(SPEC), f"order-{number}"),
    ).fetchone()
    return row[0]


def orders(connection):
    return connection.execute("SELECT count(*) FROM public.orders").fetchone()[0]


def tasks(connection):
    return connection.execute("SELECT count(*) FROM sandboxd.tasks").fetchone()[0]


def enqueue_with_a_business_row(connection):
    """The row and its task come together or not at all."""
    connection.execute("CREATE TABLE public.orders (number int PRIMARY KEY)")
    connection.commit()

    try:
        with connection.transaction():
            connection.execute("INSERT INTO public.orders VALUES (1)")
            enqueue(connection, 1)
            raise RuntimeError("the customer went away")
    except RuntimeError:
        pass
    assert (orders(connection), tasks(connection)) == (0, 0), "a rollback left something"

    with connection.transaction():
        connection.execute("INSERT INTO public.orders VALUES (2)")
        first = enqueue(connection, 2)
        assert enqueue(connection, 2) == first, "the same key made another task"
    assert (orders(connection), tasks(connection)) == (1, 1)

    try:
        with connection.transaction():
            connection.execute("INSERT INTO public.orders VALUES (3)")
            connection.execute("SELECT sandboxd.enqueue('none', '{}')")
    except psycopg.Error as error:
        assert error.sqlstate == "SB002", error.sqlstate
    assert (orders(connection), tasks(connection)) == (1, 1), "a refused task left its row"
    connection.commit()
    return first


def register(connection):
    worker = connection.execute(
        "SELECT sandboxd.register_worker('mailer', 30, 'host')"
    ).fetchone()[0]
    connection.commit()
    return worker


def lease(connection, worker):
    leases = connection.execute(
        "SELECT task_id, fence, attempt, spec FROM sandboxd.lease(%s, 10)", (worker,)
    ).fetchall()
    connection.commit()
    return leases


def beat(connection, worker, task, fence):
    orders = connection.execute(
        "SELECT why FROM sandboxd.heartbeat(%s, 30, %s, %s, '{5}', '{5}', '{5}', '{0}')",
        (worker, [task], [fence]),
    ).fetchall()
    connection.commit()
    return [why for (why,) in orders]


def complete(connection, task, fence, verdict):
    settled = connection.execute(
        "SELECT task_id, fence, sandboxd.state_word(state) FROM sandboxd.complete("
        "%s, %s, %s, '{0}', '{10}', '{10}', '{10}', '{0}', %s)",
        ([task], [fence], [verdict], [json.dumps({"said": "it's \u0000 done"})]),
    ).fetchall()
    connection.commit()
    return settled


def main(target):
    with psycopg.connect(target) as connection, psycopg.connect(target) as other:
        task = enqueue_with_a_business_row(connection)

        worker = register(connection)
        [(leased, fence, attempt, spec)] = lease(connection, worker)
        assert (leased, fence, attempt, spec) == (task, 1, 1, SPEC), (leased, fence, attempt, spec)
        assert beat(connection, worker, task, fence) == []

        # It falls silent; somebody else takes its lease away and the task comes back.
        other.execute("UPDATE sandboxd.workers SET lease_until = now() - interval '1 second'")
        swept = other.execute("SELECT task_id, fence FROM sandboxd.sweep()").fetchall()
        other.commit()
        assert swept == [(task, 1)], swept
        assert beat(connection, worker, task, fence) == ["over"]
        assert complete(connection, task, fence, "ok") == [], "a lost lease was settled"
        try:
            lease(connection, worker)
            raise AssertionError("a worker that is over was given a lease")
        except psycopg.Error as error:
            assert error.sqlstate == "SB007", error.sqlstate
            connection.rollback()

        worker = register(connection)
        assert lease(connection, worker) == [], "it is tried again after a pause, not at once"
        other.execute("UPDATE sandboxd.task_delayed SET run_at = now()")
        other.commit()
        assert other.execute("SELECT sandboxd.promote()").fetchone()[0] == 1
        other.commit()
        [(leased, fence, attempt, _)] = lease(connection, worker)
        assert (leased, fence, attempt) == (task, 2, 2), (leased, fence, attempt)

        other.execute("SELECT sandboxd.cancel(%s)", (task,))
        other.commit()
        assert beat(connection, worker, task, fence) == ["cancel"]
        assert complete(connection, task, fence, "cancelled") == [(task, 2, "cancelled")]
        assert complete(connection, task, fence, "ok") == [], "it was settled twice"

        charged = connection.execute(
            "SELECT fence, verdict, cpu_ms FROM sandboxd.task_attempts ORDER BY fence"
        ).fetchall()
        assert charged == [(1, "lease_lost", 5), (2, "cancelled", 10)], charged
    print("all is well")


if __name__ == "__main__":
    main(sys.argv[1])
