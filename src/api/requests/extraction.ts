import { extractionIssues } from './extraction-checks.ts';
import { EVALUATION, MATCHING, PRODUCTION, TRAINING } from './extraction-schemas.ts';
import type {
  EvaluationRequest,
  MatchingRequest,
  ProductionRequest,
  TrainingRequest,
} from './extraction-schemas.ts';
import { requestKind, type RequestKind } from './request-kind.ts';

export type { CombinedRequest, ExtractionRequest, Purpose } from './extraction-schemas.ts';
export type { EvaluationRequest, MatchingRequest, ProductionRequest, TrainingRequest };

/** The four extraction requests, by purpose. */
export const EXTRACTION_REQUESTS: {
  readonly matching: RequestKind<MatchingRequest>;
  readonly training: RequestKind<TrainingRequest>;
  readonly evaluation: RequestKind<EvaluationRequest>;
  readonly production: RequestKind<ProductionRequest>;
} = {
  matching: requestKind({ name: 'MatchingRequest', schema: MATCHING, check: extractionIssues }),
  training: requestKind({ name: 'TrainingRequest', schema: TRAINING, check: extractionIssues }),
  evaluation: requestKind({ name: 'EvaluationRequest', schema: EVALUATION, check: extractionIssues }),
  production: requestKind({ name: 'ProductionRequest', schema: PRODUCTION, check: extractionIssues }),
};
