"""Certificates for the tests of TLS: an authority, a server, a client, and a client that nobody knows."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
PEM = serialization.Encoding.PEM


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(subject, issuer=None, authority=False):
    """A key and a certificate, signed by `issuer` (a key and a certificate) or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer, issuer_name = (issuer[0], issuer[1].subject) if issuer else (key, name(subject))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def write(folder):
    """Writes NAME.pem and NAME.key for ca, server, client and stranger."""
    ca = issue("sightline test authority", authority=True)
    other = issue("another authority", authority=True)
    pairs = {"ca": ca, "server": issue("localhost", ca), "client": issue("client", ca), "stranger": issue("client", other)}
    for file, (key, certificate) in pairs.items():
        Path(folder, f"{file}.pem").write_bytes(certificate.public_bytes(PEM))
        form = serialization.PrivateFormat.PKCS8
        Path(folder, f"{file}.key").write_bytes(key.private_bytes(PEM, form, serialization.NoEncryption()))
