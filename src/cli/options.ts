/** Options of commands that submit what a request says. */
const REQUEST_OPTIONS = {
  request: {
    kind: 'text',
    value: 'FILE',
    about: 'The request, or a part of it, as JSON; - is standard input. Options win over it.',
  },
  set: {
    kind: 'list',
    value: 'FIELD=VALUE',
    about: 'A field of the request by its name, with JSON or plain text. Wins over all else.',
  },
} as const;

/** And of how the run is submitted. */
export const SUBMIT_OPTIONS = {
  follow: { kind: 'flag', about: 'Stay, and tell the progress to the end.' },
  here: { kind: 'flag', about: 'Run it in this process, without RunPod, and stay to the end.' },
  'dry-run': { kind: 'flag', about: "Submit nothing: print the job's input as JSON." },
  ...REQUEST_OPTIONS,
} as const;
