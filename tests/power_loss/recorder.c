/* Records, in order, the calls of a process that decide what a power loss leaves of the folder RECORD_ROOT.

   Preloaded by recording.py; its children are not recorded. A line of RECORD_FILE is a call that has succeeded: its name
   and arguments, separated by tabs; data is hexadecimal. A call and its line are one step, so that lines of several
   threads are in the order of the effects. Writes elsewhere are recorded if they are acks of DStream's protocol, before
   they are made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MOST_FILES 65536

static const char ACK[] = "\"dstream\":\"ack\"";
static char root[PATH_MAX];
static size_t root_length;
static int record = -1;
static unsigned char is_inside[MOST_FILES];
static pthread_mutex_t step = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
    const char *file = getenv("RECORD_FILE"), *folder = getenv("RECORD_ROOT");
    if (!file || !folder)
        return;
    root_length = (size_t)snprintf(root, sizeof root, "%s", folder);
    int opened = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    record = fcntl(opened, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, opened);
    unsetenv("LD_PRELOAD");
}

static void say(const void *data, size_t length, const char *format, ...) {
    char head[2 * PATH_MAX + 64], *line;
    va_list arguments;
    va_start(arguments, format);
    size_t used = (size_t)vsnprintf(head, sizeof head, format, arguments);
    va_end(arguments);
    line = malloc(used + 2 * length + 3);
    memcpy(line, head, used);
    if (data)
        line[used++] = '\t';
    for (size_t at = 0; at < length; at++, used += 2)
        snprintf(line + used, 3, "%02x", ((const unsigned char *)data)[at]);
    line[used++] = '\n';
    syscall(SYS_write, record, line, used);
    free(line);
}

/* Write the absolute path to `full`; return whether it is inside the folder. */
static int inside(int folder, const char *path, char full[PATH_MAX]) {
    char start[PATH_MAX / 2] = "", link[64];
    if (record < 0)
        return 0;
    if (path[0] != '/' && folder == AT_FDCWD) {
        if (!getcwd(start, sizeof start))
            return 0;
    } else if (path[0] != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, start, sizeof start - 1);
        start[length < 0 ? 0 : length] = 0;
    }
    snprintf(full, PATH_MAX, "%s%s%.2000s", start, start[0] ? "/" : "", path);
    return !strncmp(full, root, root_length) && (full[root_length] == '/' || !full[root_length]);
}

static int known(int file) { return record >= 0 && file >= 0 && file < MOST_FILES && is_inside[file]; }

#define OPEN(name, real, folder_parameter, folder)                                   \
    int name(folder_parameter const char *path, int flags, ...) {                    \
        char full[PATH_MAX];                                                         \
        mode_t mode = 0;                                                             \
        va_list arguments;                                                           \
        va_start(arguments, flags);                                                  \
        if (flags & (O_CREAT | __O_TMPFILE))                                         \
            mode = va_arg(arguments, mode_t);                                        \
        va_end(arguments);                                                           \
        if (!inside(folder, path, full))                                             \
            return real;                                                             \
        pthread_mutex_lock(&step);                                                   \
        int file = real;                                                             \
        if (file >= 0 && file < MOST_FILES) {                                        \
            is_inside[file] = 1;                                                     \
            say(NULL, 0, "open\t%d\t%d\t%s", file, flags & (O_CREAT | O_TRUNC), full); \
        }                                                                            \
        pthread_mutex_unlock(&step);                                                 \
        return file;                                                                 \
    }
OPEN(open, REAL(open)(path, flags, mode), , AT_FDCWD)
OPEN(open64, REAL(open64)(path, flags, mode), , AT_FDCWD)
#define FOLDER int folder,
OPEN(openat, REAL(openat)(folder, path, flags, mode), FOLDER, folder)
OPEN(openat64, REAL(openat64)(folder, path, flags, mode), FOLDER, folder)

int close(int file) {
    if (!known(file))
        return REAL(close)(file);
    pthread_mutex_lock(&step);
    is_inside[file] = 0;
    say(NULL, 0, "close\t%d", file);
    int result = REAL(close)(file);
    pthread_mutex_unlock(&step);
    return result;
}

/* A call on a file that is open, recorded if it succeeds. */
#define ON_FILE(call, data, length, ...)       \
    pthread_mutex_lock(&step);                 \
    __typeof__(call) result = call;            \
    if (result >= 0)                           \
        say(data, length, __VA_ARGS__);        \
    pthread_mutex_unlock(&step);               \
    return result

static void note_ack(const void *data, size_t length) {
    if (record >= 0 && memmem(data, length, ACK, sizeof ACK - 1))
        say(data, length, "said");
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    for (int part = 0; part < count && !known(file); part++)
        note_ack(parts[part].iov_base, parts[part].iov_len);
    if (!known(file))
        return REAL(writev)(file, parts, count);
    abort(); /* DStream writes no file this way; a record without it would be wrong */
}

ssize_t write(int file, const void *data, size_t length) {
    if (!known(file)) {
        note_ack(data, length);
        return REAL(write)(file, data, length);
    }
    ON_FILE(REAL(write)(file, data, length), data, (size_t)result, "write\t%d\t%lld", file,
            (long long)lseek(file, 0, SEEK_CUR) - result);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t at) {
    if (!known(file))
        return REAL(pwrite)(file, data, length, at);
    ON_FILE(REAL(pwrite)(file, data, length, at), data, (size_t)result, "write\t%d\t%lld", file, (long long)at);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) {
    if (!known(file))
        return REAL(pwrite64)(file, data, length, at);
    ON_FILE(REAL(pwrite64)(file, data, length, at), data, (size_t)result, "write\t%d\t%lld", file, (long long)at);
}

int ftruncate(int file, off_t length) {
    if (!known(file))
        return REAL(ftruncate)(file, length);
    ON_FILE(REAL(ftruncate)(file, length), NULL, 0, "truncate\t%d\t%lld", file, (long long)length);
}

int ftruncate64(int file, off64_t length) {
    if (!known(file))
        return REAL(ftruncate64)(file, length);
    ON_FILE(REAL(ftruncate64)(file, length), NULL, 0, "truncate\t%d\t%lld", file, (long long)length);
}

int fsync(int file) {
    if (!known(file))
        return REAL(fsync)(file);
    ON_FILE(REAL(fsync)(file), NULL, 0, "fsync\t%d", file);
}

int fdatasync(int file) {
    if (!known(file))
        return REAL(fdatasync)(file);
    ON_FILE(REAL(fdatasync)(file), NULL, 0, "fsync\t%d", file);
}

int renameat2(int old_folder, const char *old, int new_folder, const char *new, unsigned flags) {
    char full_old[PATH_MAX], full_new[PATH_MAX];
    if (inside(old_folder, old, full_old) + inside(new_folder, new, full_new) < 2)
        return (int)syscall(SYS_renameat2, old_folder, old, new_folder, new, flags);
    ON_FILE((int)syscall(SYS_renameat2, old_folder, old, new_folder, new, flags), NULL, 0, "rename\t%s\t%s", full_old,
            full_new);
}

int renameat(int old_folder, const char *old, int new_folder, const char *new) {
    return renameat2(old_folder, old, new_folder, new, 0);
}

int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags) {
    char full_old[PATH_MAX], full_new[PATH_MAX];
    if (inside(old_folder, old, full_old) + inside(new_folder, new, full_new) < 2)
        return REAL(linkat)(old_folder, old, new_folder, new, flags);
    ON_FILE(REAL(linkat)(old_folder, old, new_folder, new, flags), NULL, 0, "link\t%s\t%s", full_old, full_new);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int folder, const char *path, int flags) {
    char full[PATH_MAX];
    if (!inside(folder, path, full))
        return REAL(unlinkat)(folder, path, flags);
    ON_FILE(REAL(unlinkat)(folder, path, flags), NULL, 0, "unlink\t%s", full);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char full[PATH_MAX];
    if (!inside(folder, path, full))
        return REAL(mkdirat)(folder, path, mode);
    ON_FILE(REAL(mkdirat)(folder, path, mode), NULL, 0, "mkdir\t%s", full);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
