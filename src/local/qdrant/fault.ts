/** An answer that is no success: Qdrant's status and words. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The request's JSON does not have the form that Qdrant knows, or that this server supports. */
export function badBody(what: string): Fault {
  return new Fault(400, `Format error in JSON body: ${what}`);
}

export function wrongInput(what: string): Fault {
  return new Fault(400, `Wrong input: ${what}`);
}

/** A part of Qdrant's API that this server leaves out: never ignored in silence. */
export function unsupported(what: string): Fault {
  return new Fault(400, `Not supported by the embedded server: ${what}`);
}

export function noCollection(name: string): Fault {
  return new Fault(404, `Not found: Collection \`${name}\` doesn't exist!`);
}
