/* What the yardstick puts around a daemon: the programs it supervises, an event listener, the client that loads it,
 * and a reader that proves a log complete. One executable, the first argument says which; built by system.py.
 *
 *   launch BOARD FILES COMMAND…     marks the time, becomes COMMAND; may open FILES descriptors, dies with its parent
 *   still                           sleeps
 *   mark BOARD                      marks that it runs, sleeps
 *   mute BOARD                      the same, but closes its output first
 *   flood BOARD BYTES LINE WRITE    after SIGUSR1: BYTES (0: no end) of numbered lines of LINE bytes, WRITE at a time
 *   drip BOARD LINE COUNT US        after SIGUSR1: COUNT numbered lines, one each US microseconds
 *   blocks BOARD COUNT BYTES        after SIGUSR1: COUNT writes of BYTES, each once the one before was read
 *   tell BOARD COUNT HOW COUNTERS   after SIGUSR1: COUNT events; HOW is comm, line or step (see there)
 *   listen COUNTERS                 an event listener that counts
 *   first ADDRESS REQUEST           nanoseconds on the clock when REQUEST was first answered
 *   load ADDRESS CONNECTIONS SECONDS REQUEST      repeats the request of that file; prints rates as JSON
 *   calls ADDRESS REQUESTS          each once, one after another: {u32 length, bytes} in that file; prints JSON
 *   check LINE FILE…                reads numbered lines, the oldest file first; prints JSON
 *
 * An ADDRESS is unix:PATH or tcp:PORT. Every program dies with the daemon that started it (PR_SET_PDEATHSIG), so that
 * nothing outlives a run that was killed.
 *
 * A BOARD is a file mapped by the harness and by all programs: a count, then records of time, pid and tag. Taking a
 * place is one atomic addition, so that ten thousand programs can report without anybody having to read meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Tags of marks; system.py has the same. */
enum { RUNS = 0, BEGINS = 1, ENDS = 2, LAUNCHED = 3 };
/* Digits that number a line. */
enum { DIGITS = 12 };

static void fail(const char *what)
{
    fprintf(stderr, "tools: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void sleep_for_ever(void)
{
    for (;;)
        pause();
}

static void write_whole(int fd, const char *from, size_t left)
{
    while (left > 0) {
        ssize_t done = write(fd, from, left);
        if (done > 0)
            from += done, left -= (size_t)done;
        else if (errno != EINTR)
            exit(1);
    }
}

static void *map_file(const char *path, size_t *size)
{
    struct stat about;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        fail(path);
    void *place = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED)
        fail(path);
    close(fd);
    *size = (size_t)about.st_size;
    return place;
}

struct mark {
    uint64_t ns;
    uint32_t pid, tag;
};

static struct {
    uint64_t *count;
    struct mark *marks;
    size_t places;
} board;

static void open_board(const char *path)
{
    size_t size;
    char *place = map_file(path, &size);
    board.count = (uint64_t *)place;
    board.marks = (struct mark *)(place + sizeof(struct mark));
    board.places = size / sizeof(struct mark) - 1;
}

static void put_mark(uint32_t tag)
{
    uint64_t now = clock_ns(), at = __atomic_fetch_add(board.count, 1, __ATOMIC_RELAXED);
    if (at >= board.places)
        return;
    board.marks[at].pid = (uint32_t)getpid();
    board.marks[at].tag = tag;
    /* The time comes last: a record without one is not read. */
    __atomic_store_n(&board.marks[at].ns, now, __ATOMIC_RELEASE);
}

/* ---- programs */

/* Marks that this program runs and waits until the harness lets it begin. */
static void await_signal(const char *board_path)
{
    sigset_t go;
    int got;
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go, NULL);
    open_board(board_path);
    put_mark(RUNS);
    sigwait(&go, &got);
    put_mark(BEGINS);
}

static void number_line(char *line, uint64_t number)
{
    for (int digit = DIGITS; digit-- > 0; number /= 10)
        line[digit] = (char)('0' + number % 10);
}

static char *blank_lines(size_t line, size_t bytes)
{
    char *buffer = malloc(bytes);
    memset(buffer, '.', bytes);
    for (size_t end = line; end <= bytes; end += line)
        buffer[end - 1] = '\n';
    return buffer;
}

static void flood(char **given)
{
    uint64_t left = strtoull(given[1], NULL, 10), number = 0;
    size_t line = strtoul(given[2], NULL, 10), block = strtoul(given[3], NULL, 10) / line * line;
    int endless = left == 0;
    char *buffer = blank_lines(line, block);
    await_signal(given[0]);
    while (endless || left > 0) {
        size_t part = endless || left > block ? block : (size_t)left;
        for (size_t at = 0; at < part; at += line)
            number_line(buffer + at, number++);
        write_whole(1, buffer, part);
        left -= endless ? 0 : part;
    }
    put_mark(ENDS);
    sleep_for_ever();
}

static void drip(char **given)
{
    size_t line = strtoul(given[1], NULL, 10);
    uint64_t count = strtoull(given[2], NULL, 10), step = strtoull(given[3], NULL, 10) * 1000;
    char *buffer = blank_lines(line, line);
    await_signal(given[0]);
    uint64_t due = clock_ns();
    for (uint64_t number = 0; number < count; number++) {
        number_line(buffer, number);
        write_whole(1, buffer, line);
        due += step;
        struct timespec at = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
    }
    put_mark(ENDS);
    sleep_for_ever();
}

/* Until no more than that many bytes of our output are unread. */
static void await_read(int bytes)
{
    int unread;
    while (ioctl(1, FIONREAD, &unread) == 0 && unread > bytes)
        sleep_ns(2000);
}

static void blocks(char **given)
{
    uint64_t count = strtoull(given[1], NULL, 10);
    size_t bytes = strtoul(given[2], NULL, 10);
    char *buffer = blank_lines(100, bytes);
    await_signal(given[0]);
    while (count-- > 0) {
        write_whole(1, buffer, bytes);
        await_read(0);
    }
    put_mark(ENDS);
    sleep_for_ever();
}

/* What the listener shares with the harness and the program that tells. */
struct counters {
    uint64_t ready, events, bytes, out_of_order, last_ns;
};

/* comm: captured messages as fast as they are taken, but never more than 4096 bytes unread, for the original calls
 * itself once for each token of what it read at once. line: a line is written when the one before was read, so that
 * each is an event. step: a captured message when the listener has counted the one before. */
static void tell(char **given)
{
    uint64_t count = strtoull(given[1], NULL, 10);
    int line = strcmp(given[2], "line") == 0, step = strcmp(given[2], "step") == 0;
    size_t size;
    volatile struct counters *seen = map_file(given[3], &size);
    prctl(PR_SET_TIMERSLACK, 1000);
    await_signal(given[0]);
    for (uint64_t number = 0; number < count; number++) {
        char text[128], digits[DIGITS + 1] = "";
        number_line(digits, number);
        int bytes = line ? snprintf(text, sizeof text, "%s a line like any other\n", digits)
                         : snprintf(text, sizeof text, "<!--XSUPERVISOR:BEGIN-->%s<!--XSUPERVISOR:END-->", digits);
        await_read(line ? 0 : 4096);
        while (step && seen->events < number)
            sleep_ns(20000);
        /* The listener's answer to it has been taken by then, even by a daemon under valgrind. */
        if (step)
            sleep_ns(2000000);
        write_whole(1, text, (size_t)bytes);
    }
    put_mark(ENDS);
    sleep_for_ever();
}

static void listen_for_events(char **given)
{
    static char buffer[1 << 20];
    size_t size, have = 0;
    uint64_t expected = 0;
    volatile struct counters *seen = map_file(given[0], &size);
    write_whole(1, "READY\n", 6);
    seen->ready = 1;
    for (;;) {
        char *end = NULL, *length;
        size_t whole = SIZE_MAX;
        while (have < whole) {
            ssize_t got = read(0, buffer + have, sizeof buffer - 1 - have);
            if (got <= 0)
                exit(0);
            have += (size_t)got;
            buffer[have] = '\0';
            if (end == NULL && (end = memchr(buffer, '\n', have)) != NULL && (length = strstr(buffer, "len:")) != NULL)
                whole = (size_t)(end + 1 - buffer) + strtoul(length + 4, NULL, 10);
        }
        char *data = memchr(end + 1, '\n', whole - (size_t)(end + 1 - buffer));
        if (data != NULL) {
            size_t bytes = (size_t)(buffer + whole - ++data);
            uint64_t number = strtoull(data, NULL, 10);
            if (bytes == DIGITS && number != expected)
                seen->out_of_order++;
            expected = number + 1;
            seen->bytes += bytes;
        }
        seen->last_ns = clock_ns();
        seen->events++;
        have -= whole;
        memmove(buffer, buffer + whole, have);
        write_whole(1, "RESULT 2\nOKREADY\n", 17);
    }
}

static void launch(char **given)
{
    rlim_t files = strtoul(given[1], NULL, 10);
    struct rlimit limit = {files, files};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    open_board(given[0]);
    put_mark(LAUNCHED);
    execvp(given[2], given + 2);
    fail(given[2]);
}

/* ---- clients */

static int dial(const char *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int is_unix = strncmp(address, "unix:", 5) == 0, on = 1;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_unix)
        strncpy(local.sun_path, address + 5, sizeof local.sun_path - 1);
    else
        inet.sin_port = htons((uint16_t)atoi(address + 4));
    if (connect(fd, is_unix ? (void *)&local : (void *)&inet, is_unix ? sizeof local : sizeof inet) != 0) {
        close(fd);
        return -1;
    }
    if (!is_unix)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static char *read_file(const char *path, size_t *size)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        fail(path);
    *size = (size_t)about.st_size;
    char *content = malloc(*size + 1);
    for (size_t have = 0; have < *size;) {
        ssize_t got = read(fd, content + have, *size - have);
        if (got <= 0)
            fail(path);
        have += (size_t)got;
    }
    close(fd);
    return content;
}

struct answer {
    int status, closes;
    size_t head_bytes, body_bytes;
    const char *body;
};

struct client {
    int fd;
    char *buffer;
    size_t have, room;
    uint64_t asked_ns;
    /* Its head_bytes are 0 until the head is whole. */
    struct answer answer;
};

static void ask(struct client *client, const char *request, size_t bytes)
{
    client->have = 0;
    client->answer = (struct answer){0};
    client->asked_ns = clock_ns();
    /* A lost connection shows when the answer is read. */
    (void)!send(client->fd, request, bytes, MSG_NOSIGNAL);
}

/* Reads the head once it is there; -1 when it says not how long the body is. */
static int take_head(struct client *client)
{
    struct answer *answer = &client->answer;
    char *end = memmem(client->buffer, client->have, "\r\n\r\n", 4);
    long length = -1;
    if (end == NULL)
        return 0;
    for (char *line = client->buffer; line < end; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            length = strtol(line + 15, NULL, 10);
        else if (strncasecmp(line, "connection: close", 17) == 0)
            answer->closes = 1;
    }
    if (length < 0 || strncmp(client->buffer, "HTTP/1.", 7) != 0)
        return -1;
    answer->status = atoi(client->buffer + strlen("HTTP/1.1 "));
    answer->head_bytes = (size_t)(end + 4 - client->buffer);
    answer->body_bytes = (size_t)length;
    return 0;
}

/* Reads what is there. 1 when the answer is whole, 0 when more is to come, -1 when the connection is of no use. */
static int take(struct client *client)
{
    struct answer *answer = &client->answer;
    if (client->room - client->have < 1 << 18) {
        client->room = client->room * 2 + (1 << 19);
        client->buffer = realloc(client->buffer, client->room);
    }
    ssize_t got = recv(client->fd, client->buffer + client->have, client->room - client->have - 1, 0);
    if (got <= 0)
        return -1;
    client->have += (size_t)got;
    client->buffer[client->have] = '\0';
    if (answer->head_bytes == 0 && take_head(client) < 0)
        return -1;
    answer->body = client->buffer + answer->head_bytes;
    return answer->head_bytes > 0 && client->have - answer->head_bytes >= answer->body_bytes;
}

static struct {
    uint64_t *latencies_ns;
    size_t counted, room, answered, faults, errors, reconnects, body_bytes;
    char fault[160];
} tally;

static void count_answer(const struct answer *answer, uint64_t latency_ns, int counts)
{
    size_t begin = answer->body_bytes < 300 ? answer->body_bytes : 300;
    const char *fault = memmem(answer->body, begin, "<fault>", 7);
    tally.answered++;
    tally.body_bytes = answer->body_bytes;
    if ((answer->status != 200 || fault != NULL) && tally.faults++ == 0) {
        snprintf(tally.fault, sizeof tally.fault, "%d %s", answer->status, fault != NULL ? fault : "");
        /* It goes into a JSON string. */
        for (char *c = tally.fault; *c != '\0'; c++)
            if (*c < ' ' || *c == '"' || *c == '\\')
                *c = ' ';
    }
    if (!counts)
        return;
    if (tally.counted == tally.room) {
        tally.room = tally.room * 2 + 65536;
        tally.latencies_ns = realloc(tally.latencies_ns, tally.room * sizeof *tally.latencies_ns);
    }
    tally.latencies_ns[tally.counted++] = latency_ns;
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void print_tally(double seconds)
{
    qsort(tally.latencies_ns, tally.counted, sizeof *tally.latencies_ns, ascending);
    size_t last = tally.counted > 0 ? tally.counted - 1 : 0;
    double p50 = tally.counted > 0 ? (double)tally.latencies_ns[last / 2] : 0;
    double p99 = tally.counted > 0 ? (double)tally.latencies_ns[last - last / 100] : 0;
    printf("{\"seconds\": %.9f, \"counted\": %zu, \"answered\": %zu, \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"body\": %zu, "
           "\"reconnects\": %zu, \"errors\": %zu, \"faults\": %zu, \"fault\": \"%s\"}\n",
           seconds, tally.counted, tally.answered, p50, p99, tally.body_bytes, tally.reconnects, tally.errors,
           tally.faults, tally.fault);
}

static void first(char **given)
{
    size_t bytes;
    char *request = read_file(given[1], &bytes);
    struct client client = {0};
    /* The harness ends us when its patience does. */
    for (;; sleep_ns(50000)) {
        if ((client.fd = dial(given[0])) < 0)
            continue;
        ask(&client, request, bytes);
        int got = 0;
        while (got == 0)
            got = take(&client);
        if (got == 1 && client.answer.status == 200)
            break;
        close(client.fd);
    }
    printf("{\"ns\": %llu}\n", (unsigned long long)clock_ns());
}

/* Half a second of the same before what counts. */
static void load(char **given)
{
    const uint64_t warm_up_ns = 500000000;
    size_t bytes, count = strtoul(given[1], NULL, 10);
    char *request = read_file(given[3], &bytes);
    struct client *clients = calloc(count, sizeof *clients);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t counts_from = clock_ns() + warm_up_ns, end = counts_from + (uint64_t)(atof(given[2]) * 1e9), now = 0;
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        if ((clients[i].fd = dial(given[0])) < 0)
            fail("connect");
        epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &event);
        ask(&clients[i], request, bytes);
    }
    while ((now = clock_ns()) < end && tally.errors < 100) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, 100);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            int got = take(client);
            if (got == 0)
                continue;
            now = clock_ns();
            if (got == 1)
                count_answer(&client->answer, now - client->asked_ns, client->asked_ns >= counts_from && now <= end);
            else
                tally.errors++;
            if (got < 0 || client->answer.closes) {
                tally.reconnects++;
                close(client->fd);
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
                if ((client->fd = dial(given[0])) < 0)
                    fail("connect again");
                epoll_ctl(poll, EPOLL_CTL_ADD, client->fd, &event);
            }
            ask(client, request, bytes);
        }
    }
    print_tally((double)(end - counts_from) / 1e9);
}

static void calls(char **given)
{
    size_t size;
    char *requests = read_file(given[1], &size);
    struct client client = {.fd = dial(given[0])};
    if (client.fd < 0)
        fail("connect");
    uint64_t begin = clock_ns();
    for (size_t at = 0; at + 4 <= size && tally.errors == 0;) {
        uint32_t bytes;
        int got = 0;
        memcpy(&bytes, requests + at, 4);
        ask(&client, requests + at + 4, bytes);
        while (got == 0)
            got = take(&client);
        if (got == 1)
            count_answer(&client.answer, clock_ns() - client.asked_ns, 1);
        else
            tally.errors++;
        at += 4 + bytes;
        if (got < 0 || client.answer.closes) {
            tally.reconnects++;
            close(client.fd);
            if ((client.fd = dial(given[0])) < 0)
                fail("connect again");
        }
    }
    print_tally((double)(clock_ns() - begin) / 1e9);
}

/* ---- reading a log */

static void check(char **given)
{
    static char buffer[1 << 20];
    size_t line = strtoul(given[0], NULL, 10), have = 0;
    uint64_t lines = 0, wrong = 0, next = 0, bytes = 0;
    int aligned = 0;
    for (char **path = given + 1; *path != NULL; path++) {
        int fd = open(*path, O_RDONLY | O_CLOEXEC);
        ssize_t got;
        /* What was rotated away is not there. */
        while (fd >= 0 && (got = read(fd, buffer + have, sizeof buffer - have)) > 0) {
            size_t at = 0;
            have += (size_t)got;
            bytes += (uint64_t)got;
            if (!aligned && have >= line) {
                /* The oldest file may begin within a line. */
                char *end = memchr(buffer, '\n', have);
                at = end == NULL || end == buffer + line - 1 ? 0 : (size_t)(end + 1 - buffer);
                if (at + line > have)
                    continue;
                next = strtoull(buffer + at, NULL, 10);
                aligned = 1;
            }
            for (; aligned && at + line <= have; at += line, lines++) {
                uint64_t number = strtoull(buffer + at, NULL, 10);
                wrong += number != next || buffer[at + line - 1] != '\n';
                next = number + 1;
            }
            have -= at;
            memmove(buffer, buffer + at, have);
        }
        if (fd >= 0)
            close(fd);
    }
    printf("{\"lines\": %llu, \"wrong\": %llu, \"next\": %llu, \"bytes\": %llu, \"rest\": %zu}\n",
           (unsigned long long)lines, (unsigned long long)wrong, (unsigned long long)next, (unsigned long long)bytes, have);
}

static void still(char **given)
{
    (void)given;
    sleep_for_ever();
}

static void mark(char **given)
{
    open_board(given[0]);
    put_mark(RUNS);
    sleep_for_ever();
}

static void mute(char **given)
{
    close(1);
    close(2);
    mark(given);
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **);
    } parts[] = {
        {"launch", 3, launch}, {"still", 0, still}, {"mark", 1, mark},   {"mute", 1, mute},
        {"flood", 4, flood},   {"drip", 4, drip},   {"blocks", 3, blocks}, {"tell", 4, tell},
        {"listen", 1, listen_for_events},           {"first", 2, first},   {"load", 4, load},
        {"calls", 2, calls},   {"check", 2, check},
    };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (count >= parts[i].arguments + 2 && strcmp(words[1], parts[i].name) == 0) {
            parts[i].run(words + 2);
            return 0;
        }
    fprintf(stderr, "tools: unknown or incomplete: see the head of tools.c\n");
    return 2;
}
