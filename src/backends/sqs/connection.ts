/** The SQS client: the official SDK, tuned for many small requests, loaded when the first queue is opened. */
import { setMaxListeners } from 'node:events'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { SQSClient, SQSClientConfig } from '@aws-sdk/client-sqs'
import { loadOptionalPackage } from '../../backend/optional-package.js'
import { withoutUserInfo } from '../../errors/errors.js'
import { isAbortSignal, messageOf } from '../../errors/thrown.js'
import { onAbort } from '../../time/on-abort.js'
import { FileCredentials, readSecretFile } from './credentials.js'
import { refuseLateAttempts } from './late-attempts.js'
import { type CheckedOptions, isHttpUrl, notHttpUrl } from './options.js'
import type { QueuePlace } from './queue-place.js'

/** The SDK's module. */
export type Sdk = typeof import('@aws-sdk/client-sqs')

/** Clients of one queue. */
export interface Connection {
  readonly sdk: Sdk
  readonly region: string
  /** Absent: the region's own. */
  readonly endpoint: string | undefined
  /** For everything but receiving. Never give `send` a second argument: it would rebuild the cached middleware. */
  readonly requests: SQSClient
  /**
   * For receiving, created at its first use: long polls have sockets of their own so that deletes don't queue behind
   * them, a longer time-out, and can be aborted.
   */
  receiving(): SQSClient
  /** True once the server has answered: from then on calls are retried while the network is down. */
  answered: boolean
  /** Those of an aws-secret.json, where it is used. */
  readonly fileCredentials?: FileCredentials | undefined
  /** Aborted by `close`: receives end without messages, other requests fail, and nothing is tried again. */
  readonly closing: AbortSignal
  /** True once `closing` was aborted. */
  readonly closed: boolean
  /** Ends the requests in flight and closes the sockets of our own clients. */
  close(): void
}

/** Time-out of opening a connection. */
const connectionTimeoutMs = 5_000

/** Time-out of a silent server. */
const silenceTimeoutMs = 15_000

/** SQS itself holds a receive back for up to 20 seconds. */
const receiveSilenceTimeoutMs = 20_000 + silenceTimeoutMs

/** Middleware that none of our requests needs: 15 % of a request's CPU. `host` has to stay, it is signed. */
export const unneededMiddleware = ['getUserAgentMiddleware', 'loggerMiddleware', 'queueUrlMiddleware'] as const

/** Stops a function that calls itself through a queue; unneeded outside functions. */
export const lambdaMiddleware = 'recursionDetectionMiddleware'

/** Loads the SDK and makes the clients. No request is sent. */
export async function connect(place: QueuePlace, options: CheckedOptions): Promise<Connection> {
  const sdk = await loadOptionalPackage('@aws-sdk/client-sqs', 'sqs://', () => import('@aws-sdk/client-sqs'))
  if (options.client !== undefined) return useClient(sdk, options.client as SQSClient)
  const { settings } = options
  const secret =
    settings.credentials === undefined && settings.profile === undefined ? await readSecretFile() : undefined
  const fileCredentials = secret && new FileCredentials(secret.credentials)
  const region = options.region ?? place.region ?? (await defaultRegion(sdk, settings, secret?.region))
  const endpoint = options.endpoint ?? place.endpoint
  const common: SQSClientConfig = {
    // Builds the stack of middleware once, not once a request. See docs/sqs.md for what each setting is worth.
    cacheMiddleware: true,
    // The way out is covered by the signed hash of the payload, the way back by TLS.
    md5: false,
    // The endpoint is settled here; emulators name hosts in their queue URLs that don't resolve.
    useQueueUrlAsEndpoint: false,
    ...(fileCredentials && { credentials: fileCredentials.provider }),
    ...settings,
    region,
    ...(endpoint !== undefined && { endpoint }),
  }
  const requests = newClient(sdk, common, options, silenceTimeoutMs)
  refuseLateAttempts(requests)
  let receiving: SQSClient | undefined
  const closing = new AbortController()
  // A listener for each request under way.
  setMaxListeners(0, closing.signal)
  if (settings.requestHandler === undefined) endOnAbort(requests, closing.signal)
  return {
    sdk,
    region,
    endpoint: endpoint ?? (await configuredEndpoint(requests)),
    requests,
    answered: false,
    fileCredentials,
    closing: closing.signal,
    receiving() {
      if (receiving === undefined) {
        // The same provider, so that credentials are fetched once for both.
        const shared = { ...common, credentials: requests.config.credentials }
        receiving = newClient(sdk, shared, options, receiveSilenceTimeoutMs)
        if (settings.requestHandler === undefined) keepRepliesOnAbort(receiving, closing.signal)
      }
      return receiving
    },
    get closed() {
      return closing.signal.aborted
    },
    close() {
      closing.abort()
      requests.destroy()
      receiving?.destroy()
    },
  }
}

/** The value of the environment or the profile, as messages show it. */
async function configuredEndpoint(client: SQSClient): Promise<string | undefined> {
  const endpoint = await client.config.serviceConfiguredEndpoint?.()
  if (endpoint === undefined) return undefined
  // The SDK would take `localhost:4566` for a host of that protocol, and ask AWS.
  if (!isHttpUrl(endpoint)) {
    const { AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL } = process.env
    const name = AWS_ENDPOINT_URL_SQS ? 'AWS_ENDPOINT_URL_SQS' : AWS_ENDPOINT_URL ? 'AWS_ENDPOINT_URL' : 'endpoint_url'
    throw notHttpUrl(name, endpoint)
  }
  return withoutUserInfo(endpoint)
}

async function useClient(sdk: Sdk, client: SQSClient): Promise<Connection> {
  const endpoint = await client.config?.endpoint?.()
  const closing = new AbortController()
  return {
    sdk,
    region: (await client.config?.region?.()) ?? 'the region of `client`',
    endpoint: endpoint && `${endpoint.protocol}//${endpoint.hostname}${endpoint.port ? `:${endpoint.port}` : ''}`,
    requests: client,
    receiving: () => client,
    answered: false,
    closing: closing.signal,
    get closed() {
      return closing.signal.aborted
    },
    close() {
      // The client belongs to its maker.
      closing.abort()
    },
  }
}

async function defaultRegion(sdk: Sdk, settings: SQSClientConfig, fromSecret: string | undefined): Promise<string> {
  const known = process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || fromSecret
  if (known) return known
  try {
    return await new sdk.SQSClient(settings).config.region()
  } catch (error) {
    // The SDK found none in the profile. The original falls back on the same one.
    if (/Region is missing/.test(messageOf(error))) return 'us-east-1'
    throw error
  }
}

function newClient(sdk: Sdk, settings: SQSClientConfig, options: CheckedOptions, silenceMs: number): SQSClient {
  // As many sockets as requests, or requests would wait for one another; kept open, as a TLS handshake costs more than a batch.
  const agent = { keepAlive: true, maxSockets: options.concurrency }
  const client = new sdk.SQSClient({
    requestHandler: {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
      connectionTimeout: connectionTimeoutMs,
      socketTimeout: silenceMs,
    },
    ...settings,
  })
  if (settings.logger === undefined && settings.customUserAgent === undefined) {
    for (const name of unneededMiddleware) client.middlewareStack.remove(name)
    if (process.env.AWS_LAMBDA_FUNCTION_NAME === undefined) client.middlewareStack.remove(lambdaMiddleware)
  }
  // The SDK creates a signer for each request. Ours is one: region and service never change, and it asks the (memoised)
  // provider for the credentials each time it signs.
  const makeSigner = client.config.signer
  let signer: ReturnType<typeof makeSigner> | undefined
  client.config.signer = scheme => {
    signer ??= makeSigner(scheme)
    return signer
  }
  return client
}

/** `closing` ends what is under way: a server that never answers would keep the process for minutes. */
function endOnAbort(client: SQSClient, closing: AbortSignal): void {
  const handler = client.config.requestHandler
  const handle = handler.handle.bind(handler)
  handler.handle = (request, options) => handle(request, { ...options, abortSignal: closing })
}

/**
 * An abort, or `closing`, drops a receive that is waiting, but not one whose answer is coming in: its messages would be
 * held by no worker until their lease ends.
 */
function keepRepliesOnAbort(client: SQSClient, closing: AbortSignal): void {
  const handler = client.config.requestHandler
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const asked = options && 'abortSignal' in options && options.abortSignal
    const signals = isAbortSignal(asked) ? [asked, closing] : [closing]
    const untilReply = new AbortController()
    const listening = signals.map(signal => onAbort(signal, () => untilReply.abort()))
    try {
      // Resolves with the headers; the body is read afterwards.
      return await handle(request, { ...options, abortSignal: untilReply.signal })
    } finally {
      for (const stopListening of listening) stopListening()
    }
  }
}
