/* Stands in for the exporter where a test builds a release: compiled in a moment. DIFFERENCE is a text
   that differs between builds which should be the same. */
#include <stdio.h>
#include <string.h>

#ifndef DIFFERENCE
#define DIFFERENCE ""
#endif

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        printf("ssm-sync-exporter %s (revision %s, rustc 0)%s\n", VERSION, REVISION, DIFFERENCE);
    else if (count == 2 && strcmp(arguments[1], "man") == 0)
        printf(".TH ssm-sync-exporter 1\n");
    else if (count == 3 && strcmp(arguments[1], "completions") == 0)
        printf("# %s\n", arguments[2]);
    else
        return 2;
    return 0;
}
