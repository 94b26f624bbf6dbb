/** Credentials where this family of tools keeps them, before the AWS SDK's own chain is asked. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What an `aws-secret.json` holds. */
export interface SecretFile {
  readonly credentials: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  readonly region?: string
}

/** In the order in which they are tried, under the home directory. */
const SECRET_FILES = ['.cloudvolume/secrets/aws-secret.json', '.cloudfiles/secrets/aws-secret.json'] as const

/** How the places are named in messages. */
export const SECRET_FILES_SHOWN = SECRET_FILES.map(file => `~/${file}`).join(', ')

/**
 * Reads the first `aws-secret.json` there is; `undefined` where there is none. Nothing is created.
 *
 * @throws Error where a file is there and can't be used; its content is never part of the message
 */
export async function readSecretFile(): Promise<SecretFile | undefined> {
  for (const file of SECRET_FILES) {
    const path = join(homedir(), file)
    const text = await readIfPresent(path)
    if (text !== undefined) return parseSecretFile(path, text)
  }
  return undefined
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`Can't read the AWS credentials in ${path}: make it readable or remove it`, { cause: error })
  }
}

function parseSecretFile(path: string, text: string): SecretFile {
  const values = parseObject(text)
  const accessKeyId = stringOf(values?.AWS_ACCESS_KEY_ID)
  const secretAccessKey = stringOf(values?.AWS_SECRET_ACCESS_KEY)
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new Error(
      `Expected ${path} to be a JSON object with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: write them, or remove ` +
        `the file to use the AWS SDK's own chain`,
    )
  }
  const sessionToken = stringOf(values?.AWS_SESSION_TOKEN)
  const region = stringOf(values?.AWS_DEFAULT_REGION)
  return {
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
    ...(region !== undefined && { region }),
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    // The parser's own message quotes the text, which may hold the secret: the caller says what is wrong instead.
    return undefined
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
