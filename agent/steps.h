/*
 * steps.h - rssrv --steps DIR: changes of this host that another one asks for, line by line,
 * and that are all undone unless it says at the end that they are to stay.
 *
 * What can be said is in rssrv(8), STEPS.  One process at a time does this in a DIR; nothing
 * of the server runs in it.
 */
#ifndef RSSRV_STEPS_H
#define RSSRV_STEPS_H

/* Both return the exit status: 0 when what was done stays as it was wished, or all of it was undone on
 * request; 1 when it had to be undone, or could not be. */
int steps_main(const char *dir);
/* Undoes what a run in DIR that was killed has left. */
int steps_undo_main(const char *dir);

#endif
