#include "type2/run_options.h"

#include "type2/command.h"
#include "type2/results.h"

#include <stdio.h>
#include <unistd.h>

void run_options_take(struct run_options *run, int option, const char *value)
{
    switch (option) {
    case RUN_STATS: run->stats = true; break;
    case RUN_CONSOLE_LOG: run->console_log = value; break;
    case RUN_JSON: run->json = value; break;
    default: break;
    }
}

int run_process(struct process *process, const struct run_options *run)
{
    struct problem problem = {.text = ""};

    process->console_in = STDIN_FILENO;
    process->console_out = STDOUT_FILENO;
    process->console_log = run->console_log;
    int status = (int)process_run(process, &problem);
    if (process->result == NULL)
        return command_fail("%s", problem.text);
    json_t *results = json_pack("[o]", process->result);
    if (run->stats)
        results_print(results, stderr);
    if (run->json != NULL && results_write(results, run->json, &problem) < 0) {
        command_fail("%s", problem.text);
        status = status == PROCESS_WELL ? PROCESS_FAILED : status;
    }
    json_decref(results);
    return status;
}
