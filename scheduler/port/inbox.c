#include "scheduler/port/inbox.h"

#include <pthread.h>

#include "lib/base/mem.h"
#include "nexus/limits.h"

struct inbox {
    pthread_mutex_t lock;
    struct message *first, **last;
    unsigned n;
    void (*wake)(void *arg);
    void *arg;
};

struct inbox *inbox_new(void (*wake)(void *arg), void *arg)
{
    struct inbox *inbox = mem_alloc(sizeof *inbox);
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->last = &inbox->first;
    inbox->wake = wake;
    inbox->arg = arg;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    struct message *message = inbox_take(inbox);
    while (message) {
        struct message *next = message->next;
        message_free(message);
        message = next;
    }
    pthread_mutex_destroy(&inbox->lock);
    mem_free(inbox);
}

struct message *message_new(enum message_kind kind)
{
    struct message *message = mem_alloc(sizeof *message);
    message->kind = kind;
    arena_init(&message->arena);
    return message;
}

void message_free(struct message *message)
{
    if (!message)
        return;
    if (message->loaded)
        loader_event_free(message->loaded);
    arena_fini(&message->arena);
    mem_free(message);
}

bool inbox_post(struct inbox *inbox, struct message *message)
{
    bool bounded = message->kind == MSG_WRITE || message->kind == MSG_QUERY;
    pthread_mutex_lock(&inbox->lock);
    bool room = !bounded || inbox->n < NX_INBOX_MAX;
    bool was_empty = inbox->n == 0;
    if (room) {
        message->next = NULL;
        *inbox->last = message;
        inbox->last = &message->next;
        inbox->n++;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (room && was_empty)
        inbox->wake(inbox->arg);
    return room;
}

size_t inbox_waiting(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    size_t n = inbox->n;
    pthread_mutex_unlock(&inbox->lock);
    return n;
}

struct message *inbox_take(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct message *first = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    inbox->n = 0;
    pthread_mutex_unlock(&inbox->lock);
    return first;
}
