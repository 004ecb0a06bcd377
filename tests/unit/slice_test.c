#include "lib/base/slice.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

static void *look(void *arg)
{
    *(uint64_t *)arg = slice_ns();
    return NULL;
}

static uint64_t of_new_thread(void)
{
    pthread_t thread;
    uint64_t slice = 0;
    assert_int_equal(pthread_create(&thread, NULL, look, &slice), 0);
    pthread_join(thread, NULL);
    return slice;
}

/* Whether a new process has the usual slice. */
static bool child_has(uint64_t usual)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(slice_ns() == usual ? 0 : 1);
    assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

/* On a thread of its own: the last wish is for good. */
static void *wishes(void *arg)
{
    uint64_t usual = slice_ns();
    (void)arg;
    if (!usual) {
        slice_short(); /* it harms nobody */
        slice_short_alone();
        return NULL;
    }
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 5), 0);
    slice_short();
    uint64_t brief = slice_ns();
    assert_true(brief < usual);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
    assert_int_equal(of_new_thread(), brief);
    slice_usual();
    assert_int_equal(slice_ns(), usual);
    assert_int_equal(of_new_thread(), usual);
    slice_short_alone();
    assert_int_equal(slice_ns(), brief);
    assert_int_equal(of_new_thread(), usual);
    assert_true(child_has(usual));
    return NULL;
}

static void a_slice_is_that_of_a_thread_and_of_those_it_makes(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wishes, NULL), 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_is_that_of_a_thread_and_of_those_it_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
