#define _GNU_SOURCE
#include "type2/run_options.h"

#include "type2/command.h"
#include "type2/results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int run_grace_parse(const char *text, unsigned *grace_ms, struct problem *problem)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != 0 || seconds > 3600)
        return problem_set(problem, -E_INVAL,
                           "--grace: '%s' is not a time; write 0 to 3600 seconds", text);
    *grace_ms = (unsigned)seconds * 1000;
    return 0;
}

/* "FILE[,first=PC][,last=PC][,count=N]" */
static int dump_parse(struct run_options *run, char *value, struct problem *problem)
{
    char *rest = value, *file = strsep(&rest, ","), *word;

    run->jit.dump = file;
    run->jit.dump_last = UINT64_MAX;
    run->jit.dump_count = UINT32_MAX;
    while ((word = strsep(&rest, ",")) != NULL) {
        char *text = strchr(word, '='), *end = text;
        unsigned long long number = text != NULL ? strtoull(text + 1, &end, 0) : 0;
        if (text == NULL || end == text + 1 || *end != 0)
            return problem_set(problem, -E_INVAL,
                               "--dump-code: '%s' is not first=PC, last=PC or count=N", word);
        *text = 0;
        if (strcmp(word, "first") == 0)
            run->jit.dump_first = number;
        else if (strcmp(word, "last") == 0)
            run->jit.dump_last = number;
        else if (strcmp(word, "count") == 0 && number <= UINT32_MAX)
            run->jit.dump_count = (uint32_t)number;
        else
            return problem_set(problem, -E_INVAL,
                               "--dump-code: '%s' is not first=PC, last=PC or count=N", word);
    }
    FILE *probe = fopen(file, "ae");
    if (probe == NULL)
        return problem_set(problem, -errno, "--dump-code %s: %s; name a file that you can write",
                           file, strerror(errno));
    fclose(probe);
    return 0;
}

static int symbols_check(const char *path, struct problem *problem)
{
    if (access(path, R_OK) == 0)
        return 0;
    return problem_set(problem, -errno, "--symbols %s: %s; name an ELF file or a System.map", path,
                       strerror(errno));
}

static int hot_parse(const char *text, unsigned *hot, struct problem *problem)
{
    char *end;
    const unsigned long turns = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || turns == 0 || turns > 255)
        return problem_set(problem, -EINVAL, "--hot %s: want a number of turns from 1 to 255",
                           text);
    *hot = (unsigned)turns;
    return 0;
}

int run_options_take(struct run_options *run, int option, char *value, struct problem *problem)
{
    switch (option) {
    case RUN_STATS: run->stats = true; break;
    case RUN_CONSOLE_LOG: run->console_log = value; break;
    case RUN_JSON: run->json = value; break;
    case RUN_DUMP_CODE: return dump_parse(run, value, problem);
    case RUN_PERF_MAP: run->jit.perf_map = true; break;
    case RUN_SYMBOLS: run->jit.symbols = value; return symbols_check(value, problem);
    case RUN_AUDIT: run->jit.audit = true; break;
    case RUN_PLAIN_HOST: run->jit.plain_host = true; break;
    case RUN_HOT: return hot_parse(value, &run->jit.hot, problem);
    case RUN_GRACE: return run_grace_parse(value, &run->grace_ms, problem);
    default: break;
    }
    return 0;
}

int run_process(struct process *process, const struct run_options *run)
{
    struct problem problem = {.text = ""};

    struct results_file file;

    if (results_open(&file, run->json, &problem) < 0)
        return command_fail("%s", problem.text);
    jit_set_options(&run->jit);
    process->console_in = STDIN_FILENO;
    process->console_out = STDOUT_FILENO;
    process->console_log = run->console_log;
    process->options.grace_ms = run->grace_ms;
    int status = (int)process_run(process, &problem);
    if (process->result == NULL) {
        results_abandon(&file);
        return command_fail("%s", problem.text);
    }
    json_t *results = json_pack("[o]", process->result);
    if (run->stats)
        results_print(results, stderr);
    if (run->stats)
        results_print_engines(results, stderr);
    if (results_write(&file, results, &problem) < 0) {
        command_fail("%s", problem.text);
        status = status == PROCESS_WELL ? PROCESS_FAILED : status;
    }
    json_decref(results);
    return status;
}
