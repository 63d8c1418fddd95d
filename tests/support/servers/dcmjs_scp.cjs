// A storage SCP of dcmjs-dimse that takes one user with one password, and confirms that.
// NODE_PATH=node_modules node dcmjs_scp.cjs PORT USERNAME PASSWORD

const { Scp, Server, constants, responses } = require("dcmjs-dimse");
const { PresentationContextResult, RejectReason, RejectResult, RejectSource } = constants;
const [port, username, password] = process.argv.slice(2);

class IdentityScp extends Scp {
  constructor(socket, options) {
    super(socket, options);
  }

  associationRequested(association) {
    const isKnown =
      association.getNegotiateUserIdentity() &&
      association.getUserIdentityType() === constants.UserIdentityType.UsernameAndPasscode &&
      association.getUserIdentityPositiveResponseRequested() &&
      association.getUserIdentityPrimaryField() === username &&
      association.getUserIdentitySecondaryField() === password;
    if (!isKnown) {
      this.sendAssociationReject(
        RejectResult.Permanent, RejectSource.ServiceUser, RejectReason.NoReasonGiven);
      return;
    }
    association.setUserIdentityServerResponse("");
    association.setNegotiateUserIdentityServerResponse(true);
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    console.log("stored");
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

new Server(IdentityScp).listen(Number(port));
