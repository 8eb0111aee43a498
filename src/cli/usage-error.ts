import { HandlerError } from '../base/errors.ts';

/** What was typed is wrong. */
export class UsageError extends HandlerError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super('wrong_usage', message);
  }
}
