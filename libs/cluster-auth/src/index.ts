export { ClusterProofs, type ProofVerdict, type SenderRole } from './cluster-proofs.js';
export { CLOCK_WINDOW_MS, type SignatureFault } from './domain/signature-fault.js';
export { isSameMac, type RequestToSign } from './domain/signed-request.js';
export { OwnAuthorities } from './own-authorities.js';
export { ReadProofs } from './read-proofs.js';
export { hashInSlices, hashOf, type OutgoingRequest, RequestSigner } from './request-signer.js';
export { RequestVerifier, type SignatureVerdict } from './request-verifier.js';
