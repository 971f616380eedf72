export { explainCertificateFailure } from './certificate-failure.ts';
export { type IdentityTarget, type TlsIdentity, TlsIdentityError, tlsIdentity } from './tls-identity.ts';
