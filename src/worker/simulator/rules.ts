import { z } from 'zod';

const ROUTES = ['take', 'take-batch', 'stop', 'done', 'progress', 'stream', 'ping'] as const;
export type Route = (typeof ROUTES)[number];

const OUTCOME = z.union([
  z.enum(['cut', 'silence']),
  z.strictObject({
    status: z.int().min(100).max(599),
    headers: z.record(z.string(), z.string()).optional(),
    /** Sent as it is where it is text, as JSON otherwise. */
    body: z.unknown().optional(),
  }),
]);

/**
 * A scripted fault. Of several that match a request the one that was scripted last is applied, alone; each counts
 * every request it matches by route and job.
 */
export const RULE_SCHEMA = z.strictObject({
  /** `done` is a final post, `progress` a post with `status: "IN_PROGRESS"`. */
  route: z.enum(ROUTES),
  /** Posts of this job alone. */
  job: z.string().optional(),
  /** The first request to touch, counted from 1 and from the moment of scripting. Default: 1. */
  nth: z.int().min(1).default(1),
  /** How many requests to touch from there on. Default: every one. */
  times: z.int().min(1).optional(),
  /** Waits so long before anything else happens, in milliseconds. */
  delayMs: z.number().min(0).default(0),
  /** Does the request have its effect (a job handed out, a post accepted) before the outcome? Default: no. */
  accepts: z.boolean().default(false),
  /** The connection cut, no answer at all, or an answer of any status. Absent: what would be answered without the rule. */
  outcome: OUTCOME.optional(),
});

export type RuleInput = z.input<typeof RULE_SCHEMA>;
export type Rule = z.infer<typeof RULE_SCHEMA>;
type Outcome = z.infer<typeof OUTCOME>;
export type ScriptedAnswer = Exclude<Outcome, string>;

export interface ScriptedRule {
  /** How many requests the rule was applied to. */
  readonly applied: number;
  /** From now on it touches none. */
  remove(): void;
}

export interface Script {
  add(rule: RuleInput): ScriptedRule;
  /** The rule for this request, counted by all that match it. */
  match(route: Route, job: string | undefined): Rule | undefined;
  clear(): void;
}

interface Held {
  rule: Rule;
  seen: number;
  applied: number;
}

export function createScript(): Script {
  let held: Held[] = [];
  return {
    add(input) {
      const entry: Held = { rule: RULE_SCHEMA.parse(input), seen: 0, applied: 0 };
      held.unshift(entry);
      return {
        get applied() {
          return entry.applied;
        },
        remove: () => {
          held = held.filter((other) => other !== entry);
        },
      };
    },
    match(route, job) {
      let found: Held | undefined;
      for (const entry of held) {
        const { rule } = entry;
        if (rule.route !== route || (rule.job !== undefined && rule.job !== job)) continue;
        entry.seen += 1;
        const last = rule.nth + (rule.times ?? Infinity) - 1;
        if (entry.seen >= rule.nth && entry.seen <= last) found ??= entry;
      }
      if (found !== undefined) found.applied += 1;
      return found?.rule;
    },
    clear: () => {
      held = [];
    },
  };
}
