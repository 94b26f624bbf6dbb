/** Says in words why the certificate of a server was not accepted. */
import { causeChain, codeOf, messageOf } from '../errors/thrown.js'

/** Codes of Node for a certificate that no known authority has signed. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/**
 * The reason, without a full stop; `undefined` for any other error.
 *
 * @param nameAuthority what makes an authority known: `name it with sslrootcert=FILE`
 */
export function certificateFault(error: unknown, nameAuthority: string): string | undefined {
  for (const cause of causeChain(error)) {
    const code = codeOf(cause) ?? ''
    if (untrusted.has(code)) {
      return `the server's certificate is signed by an authority that is not known here (${code}); ${nameAuthority}`
    }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return `the server's certificate is for another host (${messageOf(cause)}); use the host that it names`
    }
    if (code.startsWith('CERT_')) return `the server's certificate was refused (${code}: ${messageOf(cause)})`
  }
  return undefined
}
