// An OpenID provider (oidc-provider of npm) on a free port, which it prints. POST /rotate exchanges its key for another one.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const server = createServer((request, response) => handle(request, response));
let handle, keys = 0;

function configuration() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const client = { client_id: "user-7", client_secret: "secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
  const resource = { scope: "chat", audience: "bellwire", accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } };
  return {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: `key${++keys}`, use: "sig", alg: "ES256" }] },
    clients: [{ ...client, id_token_signed_response_alg: "ES256" }],
    extraTokenClaims: () => ({ name: "Ana of the provider" }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resource },
    },
  };
}

function rotate(issuer) {
  const answer = new Provider(issuer, configuration()).callback();
  handle = (request, response) => (request.url === "/rotate" ? response.end(rotate(issuer)) : answer(request, response));
  return "rotated";
}

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  rotate(issuer);
  console.log(issuer);
});
