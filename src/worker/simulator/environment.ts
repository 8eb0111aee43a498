interface Place {
  url: string;
  workerId: string;
  apiKey: string;
  endpointId: string;
  pingIntervalMs: number;
}

/** The variables as the platform sets them, tokens and the query of the card included. */
export function environmentOf({
  url,
  workerId,
  apiKey,
  endpointId,
  pingIntervalMs,
}: Place): Record<string, string> {
  const base = `${url}/v2/${endpointId}`;
  const card = 'gpu=NVIDIA+Simulated';
  return {
    RUNPOD_WEBHOOK_GET_JOB: `${base}/job-take/$ID?${card}`,
    RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/job-done/$RUNPOD_POD_ID/$ID?${card}`,
    RUNPOD_WEBHOOK_POST_STREAM: `${base}/job-stream/$RUNPOD_POD_ID/$ID?${card}`,
    RUNPOD_WEBHOOK_PING: `${base}/ping/$RUNPOD_POD_ID?${card}`,
    RUNPOD_AI_API_KEY: apiKey,
    RUNPOD_POD_ID: workerId,
    RUNPOD_POD_HOSTNAME: `${workerId}-host`,
    RUNPOD_ENDPOINT_ID: endpointId,
    RUNPOD_PING_INTERVAL: String(pingIntervalMs),
  };
}
