/* The limit: programs that do as little as can be done, for what no daemon can be faster than on this machine.
 * Never more than what a row of the yardstick needs: no configuration, no state, no failure that is handled.
 *
 *   supervise COUNT FOLDER COMMAND…   COUNT times COMMAND, both pipes of each copied to FOLDER/INDEX.out and .err, each
 *                                     started again when it ends; SIGTERM passes it on and ends when all have ended
 *   answer ADDRESS BYTES              to whatever is sent, an HTTP answer with a body of BYTES
 *   pingpong COUNT COMMAND…           COUNT events to the event listener COMMAND, each after the answer to the one
 *                                     before; prints JSON
 *
 * For logs the limit is `cat`. Built by system.py.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The kernel's own bound for pids; pages of the table that no pid touches take no memory. */
enum { PIDS_MAX = 1 << 22 };

static char buffer[1 << 16];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

struct child {
    int pipe[2], log[2];
    pid_t pid;
};

static int copy_once(struct child *child, int channel)
{
    ssize_t got = read(child->pipe[channel], buffer, sizeof buffer);
    if (got > 0 && write(child->log[channel], buffer, (size_t)got) != got)
        fail("log");
    return got > 0;
}

static void begin(struct child *child, uint32_t index, int poll, char **command, uint32_t *by_pid)
{
    int theirs[2];
    for (int channel = 0; channel < 2; channel++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            fail("pipe");
        child->pipe[channel] = ends[0];
        theirs[channel] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = 2 * (uint64_t)index + (uint64_t)channel};
        epoll_ctl(poll, EPOLL_CTL_ADD, ends[0], &event);
    }
    child->pid = vfork();
    if (child->pid == 0) {
        sigset_t none;
        dup2(theirs[0], 1);
        dup2(theirs[1], 2);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv(command[0], command);
        _exit(127);
    }
    by_pid[child->pid] = index;
    close(theirs[0]);
    close(theirs[1]);
}

static void supervise(char **given)
{
    static uint32_t by_pid[PIDS_MAX];
    uint32_t count = (uint32_t)atoi(given[0]), alive = count;
    struct child *children = calloc(count, sizeof *children);
    struct epoll_event events[64], event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    int poll = epoll_create1(EPOLL_CLOEXEC), stopping = 0;
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    int signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    epoll_ctl(poll, EPOLL_CTL_ADD, signals, &event);
    for (uint32_t index = 0; index < count; index++) {
        for (int channel = 0; channel < 2; channel++) {
            char path[512];
            snprintf(path, sizeof path, "%s/%u.%s", given[1], index, channel == 0 ? "out" : "err");
            children[index].log[channel] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        }
        begin(&children[index], index, poll, given + 2, by_pid);
    }
    while (alive > 0) {
        int ready = epoll_wait(poll, events, 64, -1), signalled = 0;
        for (int i = 0; i < ready; i++) {
            uint64_t what = events[i].data.u64;
            struct child *child = &children[what / 2 % count];
            if (what == UINT64_MAX)
                signalled = 1;
            else if (child->pipe[what % 2] >= 0 && !copy_once(child, (int)(what % 2)) && events[i].events & EPOLLHUP) {
                close(child->pipe[what % 2]);
                child->pipe[what % 2] = -1;
            }
        }
        if (!signalled)
            continue;
        struct signalfd_siginfo about;
        while (read(signals, &about, sizeof about) == sizeof about)
            if (about.ssi_signo == SIGTERM) {
                stopping = 1;
                for (uint32_t index = 0; index < count; index++)
                    kill(children[index].pid, SIGTERM);
            }
        for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
            struct child *child = &children[by_pid[pid]];
            for (int channel = 0; channel < 2; channel++)
                if (child->pipe[channel] >= 0) {
                    while (copy_once(child, channel))
                        ;
                    close(child->pipe[channel]);
                    child->pipe[channel] = -1;
                }
            if (stopping)
                alive--;
            else
                begin(child, by_pid[pid], poll, given + 2, by_pid);
        }
    }
}

static int listen_at(const char *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int is_unix = strncmp(address, "unix:", 5) == 0, on = 1;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_unix) {
        strncpy(local.sun_path, address + 5, sizeof local.sun_path - 1);
        unlink(local.sun_path);
    } else {
        inet.sin_port = htons((uint16_t)atoi(address + 4));
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (bind(fd, is_unix ? (void *)&local : (void *)&inet, is_unix ? sizeof local : sizeof inet) != 0 || listen(fd, 64) != 0)
        fail(address);
    return fd;
}

static void answer(char **given)
{
    int door = listen_at(given[0]), poll = epoll_create1(EPOLL_CLOEXEC), on = 1;
    size_t body = strtoul(given[1], NULL, 10);
    char *canned = malloc(body + 200);
    size_t head = (size_t)sprintf(canned, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n", body);
    memset(canned + head, ' ', body);
    struct epoll_event events[64], event = {.events = EPOLLIN, .data.fd = door};
    epoll_ctl(poll, EPOLL_CTL_ADD, door, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == door) {
                event.data.fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
            } else if (recv(fd, buffer, sizeof buffer, 0) <= 0) {
                close(fd);
            } else {
                /* Blocking: one answer at a time is the least work. */
                for (size_t done = 0; done < head + body;) {
                    ssize_t put = send(fd, canned + done, head + body - done, MSG_NOSIGNAL);
                    if (put <= 0)
                        break;
                    done += (size_t)put;
                }
            }
        }
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pingpong(char **given)
{
    long count = strtol(given[0], NULL, 10);
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        fail("pipe");
    if (vfork() == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execv(given[1], given + 1);
        _exit(127);
    }
    if (read(from[0], buffer, sizeof buffer) != 6)
        fail("listener");
    double begun = seconds();
    for (long number = 0; number < count; number++) {
        char data[128], event[384];
        int payload = snprintf(data, sizeof data, "processname:p groupname:p pid:1000\n%012ld", number);
        int bytes = snprintf(event, sizeof event,
                             "ver:3.0 server:supervisor serial:%ld pool:l poolserial:%ld "
                             "eventname:PROCESS_COMMUNICATION_STDOUT len:%d\n%s",
                             number, number, payload, data);
        if (write(to[1], event, (size_t)bytes) != bytes)
            fail("event");
        for (ssize_t have = 0; have < 17;) {
            ssize_t got = read(from[0], buffer, sizeof buffer);
            if (got <= 0)
                fail("listener");
            have += got;
        }
    }
    printf("{\"seconds\": %.9f}\n", seconds() - begun);
}

int main(int count, char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (count > 4 && strcmp(words[1], "supervise") == 0)
        supervise(words + 2);
    else if (count == 4 && strcmp(words[1], "answer") == 0)
        answer(words + 2);
    else if (count > 3 && strcmp(words[1], "pingpong") == 0)
        pingpong(words + 2);
    else
        return fprintf(stderr, "limit: unknown or incomplete: see the head of limit.c\n"), 2;
    return 0;
}
