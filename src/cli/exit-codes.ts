/** How the program ends; 130 and 143 beside them, where SIGINT or SIGTERM has ended it. docs/cli.md lists all. */
export const EXIT = {
  ok: 0,
  /** It was not done. */
  failed: 1,
  /** What was typed is wrong: a command, an option, a field of a request. Nothing was done. */
  usage: 2,
  /** A run that was followed has ended as failed or cancelled. */
  runFailed: 3,
  /** It was ended because nobody reads its output any more; as for a program that SIGPIPE ends. */
  unread: 141,
} as const;
