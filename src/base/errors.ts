import { isNativeError } from 'node:util/types';

import { redact } from './redact.ts';

export interface HandlerErrorOptions {
  /** Would the same attempt, made later, have a chance? Retries look at this and never at the text. */
  retryable?: boolean;
  cause?: unknown;
  /** How long the other side asked us to wait, in milliseconds. */
  retryAfterMs?: number;
}

/**
 * What every error of this package is. `code` is stable and documented in docs/failure-codes.md; the message says
 * what was attempted, on what, and what to do, and never holds a secret (it is redacted when made).
 */
export class HandlerError extends Error {
  override readonly name: string = 'HandlerError';
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, options: HandlerErrorOptions = {}) {
    super(redact(message), options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface InputIssue {
  /** The key's path, as in `source_config.filters.product_ids[3]`. */
  key: string;
  /** What was expected and what shape was found. Never the value itself. */
  message: string;
}

/** A job's input or a caller's argument is wrong: nothing was read or written. */
export class InputError extends HandlerError {
  override readonly name = 'InputError';
  readonly issues: readonly InputIssue[];

  constructor(issues: readonly InputIssue[], options: HandlerErrorOptions = {}) {
    super(
      'invalid_input',
      `invalid input: ${issues.map((i) => `${i.key}: ${i.message}`).join('; ')}`,
      options,
    );
    this.issues = issues;
  }
}

/** Environment variables are wrong or missing; names them, never their values. */
export class SettingsError extends HandlerError {
  override readonly name = 'SettingsError';
  constructor(message: string, options: HandlerErrorOptions = {}) {
    super('invalid_settings', message, options);
  }
}

/** One image could not be fetched or decoded. `code` is one of image/codes.ts. */
export class ImageError extends HandlerError {
  override readonly name = 'ImageError';
}

/** The network answered wrongly or not at all: `http_404`, `timeout`, `too_large`, `network`, ... */
export class HttpError extends HandlerError {
  override readonly name = 'HttpError';
  readonly status: number | undefined;
  constructor(code: string, message: string, options: HandlerErrorOptions & { status?: number } = {}) {
    super(code, message, options);
    this.status = options.status;
  }
}

/** Supabase or Qdrant refused or did not answer. `code` begins with the store's name. */
export class StoreError extends HandlerError {
  override readonly name = 'StoreError';
  readonly store: 'supabase' | 'qdrant';
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The store's own code, such as Postgres' `23514`. */
  readonly storeCode: string | undefined;
  constructor(
    store: 'supabase' | 'qdrant',
    code: string,
    message: string,
    options: HandlerErrorOptions & { status?: number; storeCode?: string } = {},
  ) {
    super(code, message, options);
    this.store = store;
    this.status = options.status;
    this.storeCode = options.storeCode;
  }
}

/** RunPod's API refused, failed, or did not answer. `code` begins with `runpod_`. */
export class RunPodError extends HandlerError {
  override readonly name = 'RunPodError';
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  constructor(code: string, message: string, options: HandlerErrorOptions & { status?: number } = {}) {
    super(code, message, options);
    this.status = options.status;
  }
}

/** A model file is missing, does not fit the catalogue, or cannot run on what was promised. */
export class ModelError extends HandlerError {
  override readonly name = 'ModelError';
}

/** Why a job was told to stop. An AbortSignal's `reason` in this package is always one of these. */
export type StopCode = 'cancelled' | 'shutdown' | 'timed_out' | 'superseded';

interface StoppedErrorOptions extends HandlerErrorOptions {
  graceMs?: number | undefined;
  answeredElsewhere?: boolean;
}

/**
 * The job was stopped: by the page or caller (`cancelled`), by the platform (`shutdown`), by its deadline, or by a later
 * run of it (`superseded`).
 */
export class StoppedError extends HandlerError {
  override readonly name = 'StoppedError';
  override readonly code: StopCode;
  /** How long who is stopped has to end by itself, from then on; undefined where nobody said. */
  readonly graceMs: number | undefined;
  /** The later run has this very job of the platform: the result is its to give, and no other may be posted. */
  readonly answeredElsewhere: boolean;
  constructor(code: StopCode, message: string, options: StoppedErrorOptions = {}) {
    super(code, message, options);
    this.code = code;
    this.graceMs = options.graceMs;
    this.answeredElsewhere = options.answeredElsewhere ?? false;
  }
}

/** True for errors of any realm: under jest, a native addon's errors are not `instanceof Error`. */
export function isError(value: unknown): value is Error {
  try {
    return isNativeError(value) || value instanceof Error;
  } catch {
    // A proxy may refuse even this.
    return false;
  }
}

/** The message of anything that was thrown, redacted. Never throws: not every error is one that can be read. */
export function messageOf(value: unknown): string {
  try {
    return redact(String(isError(value) ? value.message : value));
  } catch {
    return 'something was thrown that cannot be read';
  }
}

/** Anything thrown as a HandlerError; what is none becomes `internal`, with the original as its cause. */
export function toHandlerError(value: unknown): HandlerError {
  return isError(value) && value instanceof HandlerError
    ? value
    : new HandlerError('internal', messageOf(value), { cause: value });
}
