#include "type2/run_options.h"

#include "type2/command.h"
#include "type2/results.h"

#include <stdio.h>
#include <stdlib.h>
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

int run_options_take(struct run_options *run, int option, const char *value,
                     struct problem *problem)
{
    switch (option) {
    case RUN_STATS: run->stats = true; break;
    case RUN_CONSOLE_LOG: run->console_log = value; break;
    case RUN_JSON: run->json = value; break;
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
