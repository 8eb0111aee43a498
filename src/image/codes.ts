export interface FailureCode {
  meaning: string;
  retryable: boolean;
}

export const FAILURE_CODES: Readonly<Record<string, FailureCode>> = {};
